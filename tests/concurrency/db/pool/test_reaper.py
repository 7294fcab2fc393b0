"""Whom a reaper takes connections from: the dead, and those who are idle while others wait."""

from __future__ import annotations

import gc
import logging
from typing import Any

import gevent
import pytest
from gevent.hub import get_hub

from concurrency import offload
from concurrency.db.drivers import home
from concurrency.db.pool import reaper
from concurrency.db.pool.lease import Lease
from concurrency.db.pool.options import PoolOptions
from concurrency.db.pool.reaper import IDLE, Reaper, Rounds
from concurrency.db.pool.slots import Slots
from tests.concurrency.db.pool.paper import Owner, connection, lease
from tests.helpers import until


class Given:
    """A reaper, and the books that it looks at."""

    def __init__(self) -> None:
        self.slots = Slots(PoolOptions(max_size=1))
        self.reaper = Reaper("default", self.slots)

    def hold(self, holder: Owner, greenlet: Any = None) -> Lease:
        """Return a lease that has the only connection."""
        mine = lease(holder, greenlet)
        self.slots.take(mine)
        self.slots.reserve()
        self.slots.opened(connection())
        return mine


@pytest.fixture
def given() -> Given:
    return Given()


def test_what_a_dead_greenlet_holds_is_given_back(given):
    """Also where nothing tells that it has ended."""
    greenlet = gevent.spawn(lambda: None)
    holder = Owner()
    mine = given.hold(holder, greenlet)
    assert given.reaper.orphans() == []
    greenlet.join()
    assert given.reaper.orphans() == [mine]


def test_a_lease_whose_holder_is_garbage_is_given_back(given):
    """Nobody is left who could do it."""
    mine = given.hold(Owner())
    gc.collect()
    assert given.reaper.orphans() == [mine]


def idle_for_long(given: Given, mine: Lease) -> None:
    given.reaper.reclaim()
    assert mine.idle_since
    mine.idle_since -= IDLE


def test_an_idle_holder_keeps_its_connection_while_nobody_waits(given):
    """To take it would cost a query."""
    holder = Owner()
    idle_for_long(given, given.hold(holder))
    given.reaper.reclaim()
    assert holder.reclaimed == 0


@pytest.mark.parametrize(("bound", "times"), [(None, 1), ("it is inside atomic", 0)])
def test_an_idle_holder_gives_way_to_one_who_waits_if_nothing_binds_it(given, bound, times):
    """A holder that has just executed something is not idle."""
    holder, other = Owner(bound), Owner()
    mine = given.hold(holder)
    given.slots.take(lease(other))
    given.reaper.reclaim()
    assert holder.reclaimed == 0
    idle_for_long(given, mine)
    given.reaper.reclaim()
    assert holder.reclaimed == times


def test_a_holder_whose_statement_runs_is_not_idle(given):
    """However long it takes."""
    holder, other = Owner(), Owner()
    mine = given.hold(holder)
    given.slots.take(lease(other))
    idle_for_long(given, mine)
    assert mine.connection is not None
    mine.connection.raw.is_idle = False
    given.reaper.reclaim()
    assert (mine.idle_since, holder.reclaimed) == (0.0, 0)


def test_one_who_waits_for_a_connection_waits_for_no_log_handler(given, settings_with):
    """What a reaper has to say is said in a greenlet of its own."""
    settings_with(LEASE_WARNING=0.01)
    holder, handler, log = Owner(), logging.Handler(), logging.getLogger("concurrency.db")
    mine = given.hold(holder)
    log.addHandler(handler)
    handler.acquire()
    try:
        mine.since -= 1.0
        waiter = gevent.spawn(given.reaper.orphans)
        waiter.join(timeout=15)
        assert waiter.dead
        assert mine.was_reported
    finally:
        handler.release()
        log.removeHandler(handler)


class Work:
    """Counts its rounds, and wants as many as a test allows."""

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.rounds = 0

    def __call__(self) -> bool:
        self.rounds += 1
        return self.rounds < self.wanted


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds follow each other at once."""
    monkeypatch.setattr(reaper, "INTERVAL", 0.001)


def test_rounds_end_when_there_is_nothing_to_do(often):
    """And begin again when they are started again."""
    work = Work(3)
    rounds = Rounds(work)
    rounds.start()
    until(lambda: work.rounds == 3, "three rounds")
    assert rounds._timer is None
    work.wanted = 5
    rounds.start()
    until(lambda: work.rounds == 5, "two more")


def test_rounds_that_are_started_twice_are_one(often):
    """The second start finds the timer of the first."""
    rounds = Rounds(Work(1000))
    rounds.start()
    timer = rounds._timer
    rounds.start()
    assert rounds._timer is timer
    rounds.stop()


def test_rounds_that_are_stopped_do_not_go_on(often):
    """Not even when the timer was due."""
    work, other = Work(1000), Work(3)
    stopped, later = Rounds(work), Rounds(other)
    stopped.start()
    stopped.stop()
    later.start()
    until(lambda: other.rounds == 3, "the other one goes on")
    assert work.rounds == 0
    stopped.stop()


def test_a_native_thread_starts_rounds_in_the_hub_of_the_pools(often):
    """Its own hub turns only while a call waits there."""
    hubs: list[object] = []
    rounds = Rounds(lambda: bool(hubs.append(get_hub())))
    offload(rounds.start)
    until(lambda: bool(hubs), "a round")
    assert hubs == [home.hub]


def test_as_many_idle_holders_give_way_as_others_wait():
    """The one that holds its connection longest is the first."""
    slots = Slots(PoolOptions(max_size=3))
    looks = Reaper("default", slots)
    holders = [Owner() for _ in range(3)]
    leases = [lease(each) for each in holders]
    for number, each in enumerate(leases):
        slots.take(each)
        slots.reserve()
        slots.opened(connection())
        each.since = float(number + 1)
    looks.reclaim()
    for each in leases:
        each.idle_since -= IDLE
    other = Owner()
    slots.take(lease(other))
    looks.reclaim()
    assert [each.reclaimed for each in holders] == [1, 0, 0]
