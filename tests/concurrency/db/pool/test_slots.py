"""The books of a pool: never more than there are slots, first come, first served."""

from __future__ import annotations

import pytest

from concurrency.db.pool.options import PoolOptions
from concurrency.db.pool.slots import Slots
from concurrency.db.pool.waiters import QueueFull
from tests.concurrency.db.pool.paper import Owner, connection, lease


def numbers(slots: Slots) -> tuple[int, int, int, int, int]:
    """Return in_use, idle, connecting, discarding, waiting."""
    now = slots.statistics()
    return now.in_use, now.idle, now.connecting, now.discarding, now.waiting


@pytest.fixture
def owner() -> Owner:
    return Owner()


def test_a_slot_is_taken_before_a_connection_is_opened(owner):
    """A rush that asks once more while attempts are under way reserves nothing twice."""
    slots = Slots(PoolOptions(max_size=2))
    for _ in range(5):
        assert slots.take(lease(owner)) is not None
    assert [slots.reserve() for _ in range(3)] == [2, 0, 0]
    assert numbers(slots) == (0, 0, 2, 0, 5)


def test_the_first_who_waits_is_served_first(owner):
    """One who comes later may not pass, also when a connection is idle at that moment."""
    slots = Slots(PoolOptions(max_size=1))
    leases = [lease(owner) for _ in range(3)]
    for each in leases:
        slots.take(each)
    assert slots.reserve() == 1
    assert slots.opened(made := connection())
    assert leases[0].connection is made
    assert slots.give_back(leases[0], fit=True) is None
    assert [each.connection for each in leases] == [None, made, None]
    assert numbers(slots) == (1, 0, 0, 0, 1)


def test_one_who_leaves_the_queue_is_given_nothing(owner):
    """The next one gets it."""
    slots = Slots(PoolOptions(max_size=1))
    leases = [lease(owner) for _ in range(2)]
    first, second = [slots.take(each) for each in leases]
    assert first is not None
    slots.leave(first)
    slots.reserve()
    assert slots.opened(connection())
    assert leases[0].connection is None
    assert leases[1].connection is not None
    assert second is not None
    assert second.is_served()


def test_a_queue_that_is_full_refuses_at_once(owner):
    """``max_waiting`` may wait, and no more."""
    slots = Slots(PoolOptions(max_size=1, max_waiting=1))
    assert slots.take(lease(owner)) is not None
    with pytest.raises(QueueFull):
        slots.take(lease(owner))


def test_a_connection_that_is_discarded_keeps_its_slot_until_its_end(owner):
    """The server may still have its session."""
    slots = Slots(PoolOptions(max_size=1))
    mine, other = lease(owner), lease(owner)
    slots.take(mine)
    slots.reserve()
    slots.opened(connection())
    assert slots.give_back(mine, fit=False) is not None
    assert slots.give_back(mine, fit=False) is None  # for the second time
    slots.take(other)
    assert slots.reserve() == 0
    assert numbers(slots) == (0, 0, 0, 1, 1)
    slots.ended()
    assert slots.reserve() == 1


def test_a_server_that_refuses_is_asked_by_one_and_not_before_the_pause_is_over(owner):
    """All who wait get its answer when no connection could come back to them."""
    slots = Slots(PoolOptions(max_size=3))
    waiters = [slots.take(lease(owner)) for _ in range(3)]
    assert slots.reserve() == 3
    for _ in range(2):
        assert slots.failed(OSError("refused"), of_server=True)
    slots.failed(OSError("refused"), of_server=True)
    assert all(each is not None and isinstance(each.error, OSError) for each in waiters)
    outage = slots.outage()
    assert outage is not None
    assert (outage.attempts, outage.reason) == (3, "refused")
    assert 0 < slots.pause() <= 1.0
    slots.take(lease(owner))
    assert slots.reserve() == 0


def test_a_connection_of_an_earlier_generation_is_not_lent_again(owner):
    """A pool that is closed keeps what is in use until it comes back, and then no longer."""
    slots = Slots(PoolOptions(max_size=2))
    mine = lease(owner)
    slots.take(mine)
    slots.reserve()
    slots.opened(connection())
    assert slots.close() == []
    assert slots.give_back(mine, fit=True) is not None
    assert numbers(slots) == (0, 0, 0, 1, 0)


def test_what_is_idle_for_too_long_is_closed_down_to_min_size(owner):
    """Those that were idle longest go first."""
    slots = Slots(PoolOptions(max_size=3, min_size=1, max_idle=0.0))
    leases = [lease(owner) for _ in range(3)]
    for each in leases:
        slots.take(each)
    slots.reserve()
    made = [connection() for _ in range(3)]
    for each in made:
        slots.opened(each)
    for each in leases:
        slots.give_back(each, fit=True)
    assert slots.shrink() == made[:2]
    assert numbers(slots) == (0, 1, 0, 2, 0)


def test_callers_without_a_connection_are_counted():
    """The number is the one that ``statistics()`` shows."""
    slots = Slots(PoolOptions())
    assert slots.timed_out().timeouts == 1
    assert slots.statistics().timeouts == 1
