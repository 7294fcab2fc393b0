"""Deadlines: nesting, inheritance, and that nothing swallows them."""

from __future__ import annotations

import math
import time

import gevent
import pytest
from gevent.event import Event

from concurrency import TaskGroup, deadline, gather, joinall, offload, remaining, spawn
from concurrency.errors import ConcurrencyError, DeadlineExceeded
from tests.helpers import until


def wait_for_ever() -> None:
    Event().wait()


def test_an_expired_block_raises_a_timeout_error_that_says_its_limit():
    """A block that waits past its limit ends with DeadlineExceeded."""
    with pytest.raises(TimeoutError) as caught, deadline(0.01):
        wait_for_ever()
    assert isinstance(caught.value, DeadlineExceeded)
    assert isinstance(caught.value, ConcurrencyError)
    assert caught.value.seconds == 0.01
    assert "0.01 s" in str(caught.value)


def test_a_limit_counts_from_the_beginning_of_the_block():
    """It is not shorter when the greenlet has kept the hub from looking at the clock."""
    end = time.monotonic() + 0.05
    while time.monotonic() < end:
        pass
    with pytest.raises(DeadlineExceeded), deadline(0.05) as limit:
        wait_for_ever()
    assert time.monotonic() > limit.expires - 0.005  # the hub's clock has milliseconds


def test_a_block_in_time_is_left_alone():
    """A block that ends in time returns normally, and no timer fires later."""
    with deadline(0.01) as limit:
        result = 42
    until(lambda: time.monotonic() > limit.expires, "its time is over")
    gevent.idle()
    assert result == 42


def test_the_traceback_shows_where_the_block_waited():
    """The place that was interrupted can be read from the error."""
    with pytest.raises(DeadlineExceeded) as caught, deadline(0.01):
        wait_for_ever()
    assert "wait_for_ever" in [entry.name for entry in caught.traceback]


def test_except_exception_does_not_swallow_it():
    """User code that catches every Exception does not stop a deadline."""
    survived = []
    with pytest.raises(DeadlineExceeded), deadline(0.01):
        try:
            wait_for_ever()
        except Exception:  # noqa: BLE001 - that it does not catch is the point
            survived.append(True)
    assert not survived


def test_a_body_that_swallows_the_signal_is_overruled():
    """Even a bare swallow of everything ends in DeadlineExceeded."""
    with pytest.raises(DeadlineExceeded), deadline(0.01):
        try:
            wait_for_ever()
        except BaseException:  # noqa: BLE001 - that it does not help is the point
            gevent.sleep(0)


def test_an_error_during_the_end_is_kept_as_the_cause():
    """What a body raises while it is being ended is not lost."""
    with pytest.raises(DeadlineExceeded) as caught, deadline(0.01):
        try:
            wait_for_ever()
        finally:
            raise KeyError("clean-up failed")
    assert isinstance(caught.value.__cause__, KeyError)


@pytest.mark.parametrize(("outer", "inner"), [(0.01, 60), (60, 0.01)])
def test_the_nearest_of_nested_deadlines_wins(outer, inner):
    """Whichever deadline comes first raises, and it names its own limit."""
    with pytest.raises(DeadlineExceeded) as caught, deadline(outer), deadline(inner):
        wait_for_ever()
    assert caught.value.seconds == 0.01


def test_only_the_expired_block_converts():
    """An inner block that has not expired lets the outer one's signal pass."""
    passed_inner = []
    with pytest.raises(DeadlineExceeded), deadline(0.01):
        try:
            with deadline(60):
                wait_for_ever()
        except DeadlineExceeded:
            passed_inner.append(True)
    assert not passed_inner


def test_after_an_inner_deadline_the_outer_still_counts():
    """A caught inner deadline leaves the outer one running."""
    with pytest.raises(DeadlineExceeded) as caught, deadline(0.05):
        with pytest.raises(DeadlineExceeded), deadline(0.01):
            wait_for_ever()
        wait_for_ever()
    assert caught.value.seconds == 0.05


def test_remaining_tells_the_nearest_and_none_without():
    """remaining() is None without a deadline, and never more than the nearest limit."""
    assert remaining() is None
    with deadline(60), deadline(None):
        assert 0 < remaining() <= 60
        with deadline(5):
            assert 0 < remaining() <= 5
        assert remaining() > 5
    assert remaining() is None
    with deadline(math.inf):
        assert remaining() is None


@pytest.mark.parametrize("seconds", [0, -1])
def test_a_limit_of_nothing_has_expired_before_the_block(seconds):
    """With no time left the block is not entered."""
    entered = []
    with pytest.raises(DeadlineExceeded), deadline(seconds):
        entered.append(True)
    assert not entered


@pytest.mark.parametrize("seconds", [math.nan, "soon"])
def test_a_limit_that_is_no_number_is_refused(seconds):
    """Nonsense is a ValueError at once, not a strange wait later."""
    with pytest.raises(ValueError, match=r"nan|soon"):
        deadline(seconds)


def test_one_deadline_serves_one_block_at_a_time():
    """Entering a deadline twice at once is refused."""
    limit = deadline(60)
    with limit, pytest.raises(RuntimeError, match="make a new one"):
        limit.__enter__()


def test_a_kill_outranks_an_expired_deadline():
    """A greenlet that is killed while its deadline ends is killed."""

    def body():
        with deadline(0.01):
            try:
                wait_for_ever()
            finally:
                reached.set()
                wait_for_ever()

    reached = Event()
    greenlet = gevent.spawn(body)
    reached.wait()
    greenlet.kill()
    assert isinstance(greenlet.value, gevent.GreenletExit)


@pytest.mark.parametrize("verb", [gather, lambda fn: group_of(fn), lambda fn: joinall([spawn(fn)])])
def test_children_end_with_their_parents_deadline(verb):
    """A deadline ends the children that its block waits for."""
    ended = []

    def child():
        assert remaining() is not None
        try:
            wait_for_ever()
        finally:
            ended.append(True)

    with pytest.raises(DeadlineExceeded), deadline(0.02):
        verb(child)
    until(lambda: ended, "the child has ended")


def group_of(fn):
    with TaskGroup() as group:
        group.spawn(fn)


def test_a_spawned_greenlet_keeps_the_deadline_when_its_parent_has_gone():
    """spawn hands the deadline to a greenlet that outlives the block."""
    with deadline(0.02):
        greenlet = spawn(wait_for_ever)
    with pytest.raises(DeadlineExceeded):
        joinall([greenlet])


def test_an_offloaded_call_knows_the_deadline_and_is_left_when_it_ends():
    """A thread sees what is left, and its caller stops waiting when the time is up."""
    with deadline(60):
        assert 0 < offload(remaining) <= 60
    blocking = gevent.monkey.get_original("_thread", "allocate_lock")()
    blocking.acquire()
    with pytest.raises(DeadlineExceeded), deadline(0.02):
        offload(blocking.acquire)
    blocking.release()


def test_a_running_deadline_can_be_moved():
    """reschedule counts from the beginning of the block, in both directions."""
    with deadline(60) as limit:
        limit.reschedule(None)
        assert remaining() is None
        limit.reschedule(30)
        assert 0 < remaining() <= 30
    with pytest.raises(DeadlineExceeded) as caught, deadline(60) as limit:
        limit.reschedule(0.01)
        wait_for_ever()
    assert caught.value.seconds == 0.01
    with pytest.raises(RuntimeError, match="running"):
        limit.reschedule(1)


def test_moving_a_deadline_does_not_move_outer_ones():
    """An inner block cannot buy more time than its outer one has."""
    with deadline(5), deadline(1) as limit:
        limit.reschedule(60)
        assert remaining() <= 5
