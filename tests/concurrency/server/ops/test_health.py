"""What probes conclude from the board, and from an examination that does not end."""

from __future__ import annotations

import threading
import time

import pytest

from concurrency.server.board import STARTED, Board
from concurrency.server.ops.health import Examiner, Health
from concurrency.server.options import ServeOptions
from tests.servers import until


@pytest.fixture
def board():
    made = Board()
    made.say(phase=STARTED, note="", wanted=2)
    yield made
    made.close()


def worker(board, pid, **numbers):
    """Put a worker on the board."""
    row = board.row()
    row.claim(pid)
    row.beat(numbers.pop("lag", 0.0))
    row.write(loaded=True, **numbers)
    return row


@pytest.fixture
def health(board):
    """Make the health of a board, with options."""
    made = []

    def make(**options):
        examine = lambda: {"databases": {"default": "ok"}}  # noqa: E731 - it is that short
        made.append(Health(board, ServeOptions(**options), examine))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.mark.slow
def test_alive_fails_when_no_hub_has_turned_for_the_timeout(board, health):
    """One hub that turns is enough; none for so long is the end."""
    turning, _ = worker(board, 7), worker(board, 8)
    probe = health(timeout=1)

    def beat():
        turning.beat(0.0)
        return board.workers()[1].silent > 1.1

    until(beat, "the other one has been silent for longer than the timeout")
    assert probe.alive().ok
    until(lambda: not probe.alive().ok, "not alive")
    assert probe.alive().parts["workers"] == "no hub has turned for 1 s"
    turning.beat(0.0)
    assert probe.alive().ok


@pytest.mark.parametrize(
    ("workers", "ready"),
    [
        ([{}], True),
        ([{"in_flight": 9}, {"in_flight": 10}], True),
        ([{"in_flight": 10}, {"in_flight": 10}], False),
        ([{"waiters": 4}, {"waiters": 6}], False),
        ([{"lag": 2.0}, {"lag": 0.0}], True),
        ([{"lag": 2.0}], False),
        ([{"stalled": 4.9}, {}], True),
        ([{"stalled": 5.0}, {}], False),
        ([{"draining": True}, {}], True),
        ([{"draining": True}], False),
        ([], False),
    ],
)
def test_load_and_drain_decide_about_readiness(board, health, workers, ready):
    """The mean of what waits, the least late hub, and one worker that accepts."""
    for pid, numbers in enumerate(workers, 1):
        worker(board, pid, **dict(numbers))
    probe = health(ready_max_in_flight=10, ready_max_waiters=5, ready_max_lag=1.0)
    assert probe.ready().ok is ready, probe.ready()


def test_many_who_ask_cost_one_examination():
    """What was found a moment ago serves all who ask."""
    examined = []
    examiner = Examiner(lambda: examined.append(1) or {"databases": "ok"})
    assert [examiner.latest() for _ in range(50)] == [{"databases": "ok"}] * 50
    assert len(examined) == 1
    examiner.close()


@pytest.mark.slow
def test_an_examination_that_is_stuck_is_said_and_replaced(monkeypatch):
    """Who asks is answered after a moment, and another thread tries when one has been given up."""
    monkeypatch.setattr("concurrency.server.ops.health._PATIENCE", 0.05)
    monkeypatch.setattr("concurrency.server.ops.health._STUCK", 0.3)
    never, runs = threading.Event(), []

    def examine():
        runs.append(time.monotonic())
        if len(runs) == 1:
            never.wait(30)
        return {"databases": "ok"}

    examiner = Examiner(examine)
    assert examiner.latest() == {"examination": "no answer for 0 s"}
    until(lambda: examiner.latest() == {"databases": "ok"}, "another thread has asked")
    assert len(runs) == 2
    never.set()
    examiner.close()
