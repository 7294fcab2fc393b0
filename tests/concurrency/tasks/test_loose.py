"""spawn and joinall: gevent's verbs without their losses."""

from __future__ import annotations

import gevent
import pytest
from gevent.event import Event

from concurrency import joinall, spawn
from concurrency.errors import TaskCancelled
from concurrency.tasks import outstanding


def test_spawn_gives_a_greenlet_of_gevent():
    """It can be used with everything that gevent offers."""
    greenlet = spawn(lambda a, b: a + b, 1, b=2)
    assert isinstance(greenlet, gevent.Greenlet)
    gevent.joinall([greenlet])
    assert greenlet.value == 3


def test_results_are_in_order():
    """Whoever ends first."""
    first = Event()
    greenlets = [spawn(lambda: first.wait() and "slow"), spawn(lambda: first.set() or "fast")]
    assert joinall(greenlets) == ["slow", "fast"]


def test_raw_greenlets_can_be_joined_too():
    """joinall takes any greenlet of gevent, also one that has ended."""
    ended = gevent.spawn(lambda: 1)
    ended.join()
    assert joinall([ended, gevent.spawn(lambda: 2)]) == [1, 2]


@pytest.mark.filterwarnings("ignore")
def test_a_failure_is_raised_and_the_others_are_killed(capsys):
    """joinall of gevent would have returned silently."""
    ended = []

    def other():
        try:
            Event().wait()
        finally:
            ended.append(True)

    with pytest.raises(ZeroDivisionError):
        joinall([spawn(other), spawn(lambda: gevent.sleep(0) or 1 / 0)])
    assert ended == [True]


def test_a_timeout_names_who_is_running_and_leaves_them():
    """A partial list is never returned silently."""
    go_on = Event()

    def slowcoach():
        go_on.wait()

    greenlet = spawn(slowcoach)
    with pytest.raises(TimeoutError, match=r"1 of 2 .*0.01 s.*slowcoach"):
        joinall([greenlet, spawn(lambda: 1)], timeout=0.01)
    assert not greenlet.ready()
    go_on.set()
    assert joinall([greenlet], timeout=1) == [None]


def test_a_killed_greenlet_is_not_a_result():
    """gevent gives the GreenletExit as value; here it is an error."""
    greenlet = spawn(Event().wait)
    greenlet.kill()
    with pytest.raises(TaskCancelled):
        joinall([greenlet])


def test_what_is_no_greenlet_is_named():
    """joinall([spawn]) and joinall([f()]) are refused."""
    with pytest.raises(TypeError, match="is not a greenlet"):
        joinall([len])


def test_outstanding_knows_those_that_run():
    """A server asks for it when it drains."""
    go_on = Event()
    greenlet = spawn(go_on.wait)
    assert greenlet in outstanding()
    go_on.set()
    greenlet.join()
    gevent.sleep(0)
    assert greenlet not in outstanding()
