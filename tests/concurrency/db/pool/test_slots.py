"""The books of a pool: never more than there are slots, first come, first served."""

from __future__ import annotations

import gevent
import pytest

from concurrency.db.pool import slots as slots_module
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


def test_a_warm_connection_is_not_lent_past_the_queue(owner, monkeypatch):
    """A caller that comes later takes the quick way only when nobody waits."""
    monkeypatch.setattr(slots_module, "WARM", 3600.0)
    slots = Slots(PoolOptions(max_size=2))
    first, late = lease(owner), lease(owner)
    assert not slots.take_warm(first)
    slots.take(first)
    slots.reserve()
    slots.opened(made := connection())
    slots.take(waiting := lease(owner))
    assert not slots.take_warm(late)
    assert slots.give_back(first, fit=True) is None
    assert waiting.connection is made
    assert slots.give_back(waiting, fit=True) is None
    assert slots.take_warm(late)
    assert late.connection is made


def test_a_connection_that_has_cooled_down_is_looked_at_first(owner, monkeypatch):
    """The quick way is for one that was in use just now."""
    monkeypatch.setattr(slots_module, "WARM", -1.0)
    slots = Slots(PoolOptions(max_size=1))
    slots.take(first := lease(owner))
    slots.reserve()
    slots.opened(connection())
    slots.give_back(first, fit=True)
    assert not slots.take_warm(lease(owner))
    assert slots.take(lease(owner)) is None


def test_min_size_is_reserved_without_a_waiter_until_the_pool_is_closed(owner):
    """One that is being opened counts, and a closed pool keeps nothing."""
    slots = Slots(PoolOptions(max_size=3, min_size=2))
    assert [slots.reserve(), slots.reserve()] == [2, 0]
    slots.failed(LookupError("a setting"), of_server=False)
    slots.close()
    assert slots.reserve() == 0


def test_a_connection_that_is_too_old_is_closed_instead_of_lent(owner):
    """Its slot is free when it has ended."""
    slots = Slots(PoolOptions(max_size=1))
    slots.take(mine := lease(owner))
    slots.reserve()
    assert not slots.opened(connection(lifetime=0.0))
    assert mine.connection is None
    assert numbers(slots) == (0, 0, 0, 1, 1)
    slots.ended()
    assert slots.reserve() == 1


def test_an_error_that_is_not_the_server_s_reaches_the_first_alone(owner):
    """It costs the server nothing, so it is not left alone."""
    slots = Slots(PoolOptions(max_size=2))
    first, second = (slots.take(lease(owner)) for _ in range(2))
    slots.reserve()
    error = LookupError("a setting")
    assert slots.failed(error, of_server=False)
    assert first.error is error
    assert second.error is None
    assert slots.pause() == 0.0
    assert slots.outage() is None


def test_an_error_for_many_is_a_copy_for_each(owner):
    """Tracebacks of many greenlets do not pile up in one object."""
    slots = Slots(PoolOptions(max_size=1))
    waiters = [slots.take(lease(owner)) for _ in range(3)]
    slots.reserve()
    slots.failed(error := OSError("refused"), of_server=True)
    assert waiters[0].error is error
    assert len({id(each.error) for each in waiters}) == 3
    assert {str(each.error) for each in waiters} == {"refused"}


def test_an_error_comes_too_late_for_one_who_was_served(owner):
    """The waiter keeps its connection."""
    slots = Slots(PoolOptions(max_size=1))
    waiter = slots.take(lease(owner))
    slots.reserve()
    slots.opened(connection())
    slots.fail(waiter, LookupError("starved"))
    assert waiter.error is None
    assert waiter.is_served()


def test_who_waits_at_a_closed_pool_is_served(owner):
    """With a connection of the new generation; nothing is kept afterwards."""
    slots = Slots(PoolOptions(max_size=1))
    slots.close()
    slots.take(mine := lease(owner))
    assert slots.reserve() == 1
    assert slots.opened(connection(generation=slots.generation))
    assert mine.connection is not None
    assert slots.give_back(mine, fit=True) is not None
    assert slots.close() == []


def test_a_cleaned_connection_goes_to_who_waits(owner):
    """And is closed when it has grown too old meanwhile."""
    slots = Slots(PoolOptions(max_size=1))
    slots.take(first := lease(owner))
    slots.reserve()
    slots.opened(connection())
    made = slots.give_back(first, fit=False)
    slots.take(second := lease(owner))
    assert slots.cleaned(made)
    assert second.connection is made
    assert numbers(slots) == (1, 0, 0, 0, 0)
    slots.give_back(second, fit=False)
    made.expires = 0.0
    assert not slots.cleaned(made)
    assert numbers(slots) == (0, 0, 0, 1, 0)


def test_the_first_waiter_among_some_greenlets_is_found(owner):
    """None among those that do not wait, or among none at all."""
    slots = Slots(PoolOptions(max_size=1))
    others = [gevent.Greenlet() for _ in range(2)]
    first, second = (slots.take(lease(owner, each)) for each in others)
    assert slots.first_of(others[::-1]) is first
    assert slots.first_of(others[1:]) is second
    assert slots.first_of([gevent.getcurrent()]) is None
    assert slots.first_of([]) is None
    assert [slots.is_waiting(each) for each in (*others, gevent.getcurrent())] == [
        True,
        True,
        False,
    ]
