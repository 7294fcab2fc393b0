"""Whom a reaper takes connections from: the dead, and those who are idle while others wait."""

from __future__ import annotations

import gc
import logging
from typing import Any

import gevent
import pytest

from concurrency.db.pool.lease import Lease
from concurrency.db.pool.options import PoolOptions
from concurrency.db.pool.reaper import IDLE, Reaper
from concurrency.db.pool.slots import Slots
from tests.concurrency.db.pool.paper import Owner, connection, lease


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
