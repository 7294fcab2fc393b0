"""gather and map_each: order, first failure, notes, laziness."""

from __future__ import annotations

import itertools

import gevent
import pytest
from gevent.event import Event

from concurrency import gather, map_each
from concurrency.errors import TaskCancelled


def for_ever(*_):
    Event().wait()


def test_results_are_in_the_order_of_the_input():
    """Whoever ends first, the first result is the first call's."""
    steps = [Event() for _ in range(4)]

    def call(number):
        if number < 3:
            steps[number + 1].wait()
        steps[number].set()
        return number * number

    assert map_each(call, range(4), limit=None) == [0, 1, 4, 9]


def test_gather_calls_each_function():
    """Results are in the order of the functions."""
    fast = Event()
    slow, quick = gather(lambda: fast.wait() and "slow", lambda: fast.set() or "fast")
    assert (slow, quick) == ("slow", "fast")


def test_nothing_to_do_gives_nothing():
    """An empty fan-out returns at once."""
    assert gather() == []
    assert map_each(for_ever, [], limit=1) == []


def test_the_first_failure_is_raised_as_itself():
    """The error is the child's own object, with the child's frames."""
    error = KeyError("mine")

    def call(number):
        if number == 2:
            raise error
        for_ever()

    with pytest.raises(KeyError) as caught:
        map_each(call, range(4), limit=None)
    assert caught.value is error
    assert caught.traceback[-1].name == "call"
    assert error.__context__ is None


def test_the_siblings_of_a_failure_have_ended_when_it_is_raised():
    """Nobody works on for a caller who has gone."""
    ended = []

    def sibling():
        try:
            for_ever()
        finally:
            gevent.idle()
            ended.append(True)

    with pytest.raises(ZeroDivisionError):
        gather(sibling, sibling, lambda: gevent.sleep(0) or 1 / 0)
    assert ended == [True, True]


def test_further_failures_are_notes_and_log_records(caplog):
    """No error is lost."""

    def second():
        try:
            for_ever()
        finally:
            raise ValueError("second")

    with pytest.raises(ZeroDivisionError) as caught:
        gather(second, lambda: gevent.sleep(0) or 1 / 0)
    assert caught.value.__notes__ == ["another call failed too: ValueError('second')"]
    assert "ValueError('second')" in caplog.text


def test_return_exceptions_puts_errors_in_their_place():
    """With return_exceptions nobody is cancelled."""
    results = gather(lambda: 1 / 0, lambda: gevent.sleep(0) or 2, return_exceptions=True)
    assert isinstance(results[0], ZeroDivisionError)
    assert results[1] == 2
    results = map_each(lambda n: 1 / n, [0, 1], limit=1, return_exceptions=True)
    assert isinstance(results[0], ZeroDivisionError)
    assert results[1] == 1


def test_an_exit_is_raised_even_with_return_exceptions():
    """What ends the process is no result."""

    def leave():
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        gather(leave, for_ever, return_exceptions=True)


@pytest.mark.parametrize("return_exceptions", [False, True])
def test_a_call_that_somebody_kills_is_not_a_result(return_exceptions):
    """A killed call is TaskCancelled, raised or in its place."""

    def victim():
        victims.append(gevent.getcurrent())
        for_ever()

    def killer():
        gevent.sleep(0)
        victims[0].kill(block=False)
        return "killed it"

    victims = []
    if return_exceptions:
        results = gather(victim, killer, return_exceptions=True)
        assert isinstance(results[0], TaskCancelled)
        assert results[1] == "killed it"
    else:
        with pytest.raises(TaskCancelled):
            gather(victim, killer)


def test_items_are_taken_only_when_their_call_can_start():
    """An endless iterable is pulled as fast as the work goes on, not faster."""
    taken, started = 0, 0

    def items():
        nonlocal taken
        for number in itertools.count():
            assert taken - started < 3
            taken += 1
            yield number

    def call(number):
        nonlocal started
        started += 1
        gevent.sleep(0)
        if number == 20:
            raise StopAsyncIteration("enough")

    with pytest.raises(StopAsyncIteration):
        map_each(call, items(), limit=2)
    assert taken <= 24


def test_an_error_of_the_iterable_is_raised_as_itself():
    """The calls that had started are ended."""
    ended = []

    def items():
        yield 1
        gevent.sleep(0)
        raise LookupError("no more")

    def call(_):
        try:
            for_ever()
        finally:
            ended.append(True)

    with pytest.raises(LookupError, match="no more"):
        map_each(call, items(), limit=5)
    assert ended == [True]


@pytest.mark.parametrize("limit", [1, 3, None])
def test_the_limit_is_kept(limit):
    """Never more calls at once than allowed."""
    running, most = 0, 0

    def call(_):
        nonlocal running, most
        running += 1
        most = max(most, running)
        gevent.sleep(0)
        running -= 1

    map_each(call, range(10), limit=limit)
    assert most == (limit or 10)


def test_what_cannot_be_called_is_named():
    """gather(f()) is a common mistake; the message says so."""
    with pytest.raises(TypeError, match="argument 1 is 5"):
        gather(lambda: 1, 5)


def test_bad_limits_are_refused():
    """Zero would never start anything."""
    with pytest.raises(ValueError, match="at least 1"):
        gather(for_ever, limit=0)
    with pytest.raises(ValueError, match="at least 1"):
        map_each(for_ever, [1], limit=0)


def test_a_thousand_at_once():
    """A wide fan-out is complete and in order."""
    assert map_each(lambda n: gevent.sleep(0) or n, range(1000), limit=None) == list(range(1000))
