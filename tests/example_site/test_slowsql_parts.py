"""Parts of the demonstration that need no server."""

from __future__ import annotations

import gevent
import pytest
from django.db import OperationalError
from django.test import RequestFactory

from concurrency.errors import DeadlineExceeded
from example_site.apps.slowsql import fanout
from example_site.apps.slowsql.answers import says_what_is_wrong
from example_site.apps.slowsql.fanout import ChildError, run_ten
from example_site.apps.slowsql.loopback import LoopbackError


def test_squares_come_in_the_order_of_their_numbers() -> None:
    """The order is that of 1 to 10, although the last is the first to finish."""

    def square(x: int, seconds: float) -> int:
        for _ in range(10 - x):
            gevent.idle()
        finished.append(x)
        return x * x

    finished: list[int] = []
    outcome = run_ten(square, 0.0, "Ten")
    assert outcome.squares == (1, 4, 9, 16, 25, 36, 49, 64, 81, 100)
    assert finished[0] != 1
    assert [bar.label for bar in outcome.timeline.bars] == [f"x = {x}" for x in range(1, 11)]
    assert [bar.result for bar in outcome.timeline.bars] == [str(x * x) for x in range(1, 11)]


def test_a_failure_stops_the_others_and_names_itself() -> None:
    """One child that fails ends the other nine before the error is raised."""

    def square(x: int, seconds: float) -> int:
        if x == 4:
            gevent.idle()
            raise OperationalError("on purpose")
        try:
            gevent.sleep(60)
        finally:
            ended.append(x)
        raise AssertionError("a child was not stopped")

    ended: list[int] = []
    with pytest.raises(ChildError, match=r"^x=4 failed: OperationalError: on purpose$") as caught:
        run_ten(square, 0.0, "Ten")
    assert caught.value.x == 4
    assert sorted(ended) == [1, 2, 3, 5, 6, 7, 8, 9, 10]


def test_a_mistake_of_our_own_is_not_dressed_up() -> None:
    """An error that is neither the database's nor HTTP's is raised as what it is."""

    def square(x: int, seconds: float) -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_ten(square, 0.0, "Ten")


def test_a_child_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the time of the statement and a margin, the ten are stopped."""

    def square(x: int, seconds: float) -> int:
        gevent.sleep(60)
        return x

    monkeypatch.setattr(fanout, "MARGIN", 0.02)
    with pytest.raises(DeadlineExceeded):
        run_ten(square, 0.0, "Ten")


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (DeadlineExceeded(1.5), 504, "Not all ten answers came in time: deadline of 1.5 s"),
        (ChildError(3, LoopbackError("answered 500")), 502, "x=3 failed: answered 500"),
    ],
)
def test_errors_are_answered_with_a_sentence(error: Exception, status: int, text: str) -> None:
    """What stops the ten is a status of its own and a text that says it."""

    def view(request: object) -> None:
        raise error

    response = says_what_is_wrong(view)(RequestFactory().get("/"))
    assert response.status_code == status
    assert response.content.decode().startswith(text)
