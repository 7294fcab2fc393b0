"""Those that wait, in order, and the one of them that looks after the pool."""

from __future__ import annotations

import gevent
import pytest

from concurrency.db.pool.waiters import Queue, Waiter
from tests.concurrency.db.pool.paper import Owner, connection, lease


def waiter() -> Waiter:
    return Waiter(lease(Owner()))


@pytest.fixture
def three() -> tuple[Queue, list[Waiter]]:
    queue, waiters = Queue(), [waiter() for _ in range(3)]
    for each in waiters:
        queue.append(each)
    return queue, waiters


def test_waiters_are_served_in_the_order_in_which_they_came(three):
    """One that has left is not."""
    queue, (first, second, third) = three
    queue.end(second)
    assert [queue.pop_first(), queue.pop_first()] == [first, third]
    assert not queue


def test_one_waiter_looks_after_the_pool_for_all(three):
    """The first that asks."""
    queue, (first, second, third) = three
    assert queue.is_lookout(second)
    assert [queue.is_lookout(each) for each in (first, second, third)] == [False, True, False]


@pytest.mark.parametrize("served", [False, True])
def test_the_last_in_the_queue_is_woken_when_the_lookout_leaves(three, served):
    """Whether it was served or has given up: somebody has to look."""
    queue, (first, second, third) = three
    assert queue.is_lookout(first)
    if served:
        assert queue.pop_first() is first
    queue.end(first)
    assert (second.event.is_set(), third.event.is_set()) == (False, True)
    assert queue.is_lookout(third)


def test_nobody_is_woken_when_another_waiter_leaves(three):
    """The lookout stays."""
    queue, (first, second, third) = three
    assert queue.is_lookout(first)
    queue.end(third)
    assert not any(each.event.is_set() for each in (first, second))
    assert not queue.is_lookout(second)


def test_a_waiter_that_was_woken_waits_again():
    """The event of the first wait is not that of the second."""
    one = waiter()
    one.event.set()
    sleeper = gevent.spawn(one.wait, 60.0)
    gevent.sleep(0)
    assert not sleeper.dead
    one.event.set()
    sleeper.join(10)
    assert sleeper.dead


def test_a_waiter_that_is_served_before_it_waits_does_not_wait():
    """The event may have been set before, and is cleared."""
    one = waiter()
    one.lease.connection = connection()
    with gevent.Timeout(10):
        one.wait(60.0)


def test_a_greenlet_that_waits_twice_waits_until_both_have_ended():
    """A finaliser may wait in the middle of its greenlet's own wait."""
    queue, (first, second) = Queue(), (waiter(), waiter())
    queue.append(first)
    queue.append(second)
    assert queue.remove(first)
    assert queue.has(gevent.getcurrent())
    assert queue.remove(second)
    assert not queue.has(gevent.getcurrent())


def test_one_who_has_left_cannot_leave_again(three):
    """The second removal changes nothing, and says so."""
    queue, (first, second, third) = three
    assert queue.remove(second)
    assert not queue.remove(second)
    assert list(queue) == [first, third]


def test_the_last_waiter_that_leaves_wakes_nobody(three):
    """There is nobody left to look after."""
    queue, waiters = three
    assert queue.is_lookout(waiters[0])
    for each in reversed(waiters):
        queue.end(each)
    assert not queue
    assert not any(each.event.is_set() for each in waiters)
