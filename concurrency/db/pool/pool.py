"""A strict, fair, bounded pool of connections.

It opens, lends, cleans and closes, as its ``Slots`` decide. It knows drivers
through ``Driver`` alone, and nothing of Django's wrappers. Opening and cleaning
happen in greenlets of the pool, which no caller's kill can reach.
"""

from __future__ import annotations

import logging
import time
import weakref
from typing import Any, TypeVar

from concurrency.conf import conf
from concurrency.db.drivers import home
from concurrency.db.drivers.driver import Driver, close
from concurrency.db.errors import PoolStarvation, PoolTimeout
from concurrency.db.pool import cleaning
from concurrency.db.pool.connection import (
    WARM,
    PooledConnection,
    Template,
    is_of_server,
    open_connection,
)
from concurrency.db.pool.lease import Holding, Lease
from concurrency.db.pool.options import PoolOptions
from concurrency.db.pool.reaper import Reaper, Rounds
from concurrency.db.pool.slots import Slots
from concurrency.db.pool.starvation import find_circle
from concurrency.db.pool.statistics import PoolStatistics
from concurrency.db.pool.waiters import QueueFull, Waiter
from concurrency.places import user_place

logger = logging.getLogger("concurrency.db")

# A greenlet that begins to wait looks for what stands still, unless another has done so
# within this many seconds: in a busy pool thousands begin in a second.
_PAUSE = 0.02

# One of those that wait looks again after this many seconds, as a holder may turn out to be idle.
_LOOK = 0.25

E = TypeVar("E", bound=PoolTimeout)


class Pool:
    """Connections of one process to one database.

    Args:
        alias: name of the database, for messages.
        options: sizes and times.
        driver: how to handle a connection.
        template: opens connections, in greenlets of the pool.
    """

    def __init__(
        self, alias: str, options: PoolOptions, driver: Driver, template: Template
    ) -> None:
        self.alias = alias
        self.options = options
        self.template = template
        #: What whoever leases has to have in common with the template.
        self.fingerprint = template.fingerprint()
        self._driver = driver
        self._slots = Slots(options)
        self._reaper = Reaper(alias, self._slots)
        self._rounds = Rounds(self._look_after)
        self._looked = 0.0

    def statistics(self) -> PoolStatistics:
        """Return the pool's numbers at this moment."""
        return self._slots.statistics()

    def leases(self) -> list[Lease]:
        """Return what is lent, the oldest first."""
        return self._slots.leases()

    def is_waiting(self, greenlet: Any) -> bool:
        """Return whether a greenlet waits for a connection of this pool."""
        return self._slots.is_waiting(greenlet)

    # Lending

    def lease(self, holder: weakref.ref[Holding], owner: weakref.ref[Any]) -> Lease:
        """Return a lease on a connection that is open, idle and clean.

        Args:
            holder: refers to what will give the lease back, unless it is garbage by then.
            owner: refers to its greenlet; when that is dead the pool takes the connection itself.

        Raises:
            PoolTimeout: none was free in time, or too many are waiting.
            Exception: what opening a connection raised.
        """
        lease = Lease(holder, owner, user_place() if conf.TRACK_LEASES else None)
        if not self._slots.take_warm(lease):
            self._obtain(lease)
        return lease

    def _obtain(self, lease: Lease) -> None:
        """Get a connection that is alive, whatever has to be done for it."""
        try:
            self._queue(lease)
            while not self._is_usable(lease):
                self.give_back(lease, fit=False)
                self._queue(lease)
        except BaseException:
            # A connection that was given to this caller in the moment it left has
            # to go to the next one, or its slot would be lost.
            self.give_back(lease)
            raise

    def _queue(self, lease: Lease) -> None:
        """Get a connection for a lease, at once or in order."""
        try:
            waiter = self._slots.take(lease)
        except QueueFull:
            raise self._timeout(0.0) from None
        if waiter is not None:
            try:
                self._wait(waiter)
            finally:
                self._slots.leave(waiter)
            lease.since = time.monotonic()

    def _wait(self, waiter: Waiter) -> None:
        started = now = time.monotonic()
        self._look(now, _PAUSE)
        self._open_what_is_wanted()
        while not waiter.is_served():
            left = started + self.options.timeout - now
            if left <= 0:
                self._slots.leave(waiter)
                raise self._timeout(now - started)
            # All others sleep until they are served: to wake thousands costs more than to serve.
            if self._slots.is_lookout(waiter):
                self._look(now, _LOOK)
                self._open_what_is_wanted()
                next_look = max(0.0, self._looked + _LOOK - now)
                left = min(left, next_look, self._slots.pause() or next_look)
            waiter.wait(left)
            now = time.monotonic()
        if waiter.error is not None:
            raise waiter.error

    def _look(self, now: float, pause: float) -> None:
        """Look for what stands still, unless that was done within a pause, in seconds."""
        if now >= self._looked + pause:
            self._looked = now
            self.reap()
            self.look_for_starvation()

    def _is_usable(self, lease: Lease) -> bool:
        connection = lease.connection
        if connection is None or not self._slots.is_current(connection, lease.since):
            return False
        is_warm = lease.since - connection.idle_since < WARM
        return is_warm or cleaning.is_alive(connection)

    def give_back(self, lease: Lease, *, fit: bool = True) -> None:
        """End a lease. Never waits, so that it may be called in the hub.

        A connection that is not idle and clean is first cleaned by a greenlet of
        the pool. Giving back twice does nothing.

        Args:
            lease: what ends.
            fit: False closes the connection whatever its state.
        """
        connection = lease.connection
        if connection is None:
            return
        as_it_is = fit and cleaning.is_clean(connection)
        unfit = self._slots.give_back(lease, fit=as_it_is)
        if unfit is not None:
            home.spawn(self._clean if fit else self._close, unfit)

    # Opening, cleaning, closing: in greenlets of the pool

    def _open_what_is_wanted(self) -> None:
        for _ in range(self._slots.reserve()):
            home.spawn(self._open)

    def _open(self) -> None:
        slots = self._slots
        try:
            connection = open_connection(
                self.template, self._driver, slots.generation, self.options.max_lifetime
            )
        except BaseException as error:  # noqa: BLE001 - raised in the greenlet that waits
            self._not_opened(error)
            return
        outage = slots.outage()
        self._rounds.start()
        if slots.opened(connection):
            self._open_what_is_wanted()
        else:
            self._close(connection)
        if outage is not None:
            logger.warning("pool %r: connected again after %.1f s", self.alias, outage.seconds)

    def _not_opened(self, error: BaseException) -> None:
        of_server = is_of_server(self._driver, error)
        told = self._slots.failed(error, of_server=of_server)
        # An outage is one line, however many wait for its end.
        outage = self._slots.outage()
        is_first = outage is not None and outage.attempts == 1
        if is_first or not (told or of_server):
            reason = error if outage is None else outage.reason
            logger.warning("pool %r: cannot connect: %s", self.alias, reason)
        if told:
            self._open_what_is_wanted()

    def _clean(self, connection: PooledConnection) -> None:
        """Make a connection fit for the next holder, or close it."""
        kept = False
        connection.guard.keep()
        try:
            if self._slots.is_wanted(connection) and cleaning.make_clean(connection):
                self._rounds.start()
                kept = self._slots.cleaned(connection)
        finally:  # whatever a driver raises, or the slot would be lost
            if not kept:
                self._close(connection)

    def _close(self, connection: PooledConnection) -> None:
        connection.guard.keep()
        try:
            close(connection.driver, connection.raw)
        finally:
            self._slots.ended()
            self._open_what_is_wanted()

    def reap(self) -> None:
        """Take back what dead and idle greenlets hold, and close what is idle for too long.

        Never waits, so that it may run in the hub.
        """
        for lease in self._reaper.orphans():
            self.give_back(lease)
        self._reaper.reclaim()
        for connection in self._slots.shrink():
            home.spawn(self._close, connection)

    def _look_after(self) -> bool:
        """Do so, and return whether there is anything left to look after."""
        self.reap()
        return not self._slots.is_quiet()

    # The end of the pool

    def close(self) -> None:
        """Close all idle connections now, and those in use when they come back."""
        for connection in self._slots.close():
            self._close(connection)

    def abandon(self) -> None:
        """Forget everything, close nothing; for a child process after fork.

        The sessions belong to the parent, and closing one here would end it there.
        """
        self._rounds.stop()
        for lease in self.leases():
            holder = lease.holder()
            if holder is not None:
                holder.forsake()

    # Who waits for ever

    def look_for_starvation(self) -> None:
        """Raise ``PoolStarvation`` in the first of those who could wait for ever.

        Called when somebody begins to wait for whatever, and from time to time. Never waits.
        """
        if not self._slots.are_all_leased():
            return
        stuck, circle = find_circle(self._slots.leases(), self._slots.is_waiting)
        waiter = self._slots.first_of(stuck)
        if waiter is not None:
            error = self._timeout(0.0, PoolStarvation)
            error.circle = circle
            self._slots.fail(waiter, error)

    def _timeout(self, seconds: float, kind: type[E] = PoolTimeout) -> E:
        numbers, outage = self._slots.timed_out(), self._slots.outage()
        return kind(
            self.alias,
            seconds=seconds,
            max_size=numbers.max_size,
            waiting=numbers.waiting,
            connecting=numbers.connecting,
            discarding=numbers.discarding,
            refused=None if outage is None else outage.reason,
            holders=tuple(lease.describe() for lease in self._slots.leases()),
        )
