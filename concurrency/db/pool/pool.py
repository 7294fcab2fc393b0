"""A strict, fair, bounded pool of connections.

The pool opens, leases, cleans and closes connections; its ``Slots`` decide when. It uses
drivers through ``Driver`` only, and does not depend on Django's wrappers. It opens and
cleans in greenlets of its own, which the kill of a caller cannot reach.
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

# A greenlet that begins to wait looks for stuck leases, unless another one has done so
# within this many seconds: in a busy pool thousands begin to wait each second.
_PAUSE = 0.02

# One of the waiters looks again after this many seconds, as a holder may have become idle.
_LOOK = 0.25

E = TypeVar("E", bound=PoolTimeout)


class Pool:
    """Connections of one process to one database.

    Args:
        alias: name of the database, for messages.
        options: sizes and times.
        driver: operates on connections.
        template: opens connections, in greenlets of the pool.
    """

    def __init__(
        self, alias: str, options: PoolOptions, driver: Driver, template: Template
    ) -> None:
        self.alias = alias
        self.options = options
        self.template = template
        #: The settings that a wrapper must share with the template to use this pool.
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
        """Return the leases, oldest first."""
        return self._slots.leases()

    def is_waiting(self, greenlet: Any) -> bool:
        """Return whether a greenlet waits for a connection of this pool."""
        return self._slots.is_waiting(greenlet)

    # Lending

    def lease(self, holder: weakref.ref[Holding], owner: weakref.ref[Any]) -> Lease:
        """Return a lease on a connection that is open, idle and clean.

        Args:
            holder: weak reference to the object that gives the lease back.
            owner: weak reference to its greenlet; if that is dead, the pool takes it back.

        Raises:
            PoolTimeout: no connection was free in time, or too many greenlets wait.
            Exception: what opening a connection raised.
        """
        lease = Lease(holder, owner, user_place() if conf.TRACK_LEASES else None)
        if not self._slots.take_warm(lease):
            self._obtain(lease)
        return lease

    def _obtain(self, lease: Lease) -> None:
        """Get a live connection; wait for one if necessary."""
        try:
            self._queue(lease)
            while not self._is_usable(lease):
                self.give_back(lease, fit=False)
                self._queue(lease)
        except BaseException:
            # A connection granted at the moment this caller left must go to the next
            # one, or its slot would be lost.
            self.give_back(lease)
            raise

    def _queue(self, lease: Lease) -> None:
        """Get a connection for a lease, immediately or in the order of the queue."""
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
            # All others sleep until served: waking thousands costs more than serving them.
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
        """Look for stuck leases, unless done within the last ``pause`` seconds."""
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
        """End a lease. Never waits, so it can be called in the hub.

        A greenlet of the pool first cleans a connection that is not idle and clean.
        Giving back twice does nothing.

        Args:
            lease: the lease to end.
            fit: False closes the connection in any state.
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
        # One log line for an outage, for any number of waiters.
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
        finally:  # after any error of the driver, or the slot would be lost
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
        """Take back leases of dead and idle greenlets; close connections past ``max_idle``.

        Never waits, so it can run in the hub.
        """
        for lease in self._reaper.orphans():
            self.give_back(lease)
        self._reaper.reclaim()
        for connection in self._slots.shrink():
            home.spawn(self._close, connection)

    def _look_after(self) -> bool:
        """Reap, and return whether there is anything left to look after."""
        self.reap()
        return not self._slots.is_quiet()

    # The end of the pool

    def close(self) -> None:
        """Close all idle connections now, and those in use when they are given back."""
        for connection in self._slots.close():
            self._close(connection)

    def abandon(self) -> None:
        """Forget all leases without closing anything; for a child process after a fork.

        The sessions belong to the parent: closing one here would end it there.
        """
        self._rounds.stop()
        for lease in self.leases():
            holder = lease.holder()
            if holder is not None:
                holder.forsake()

    # Starvation

    def look_for_starvation(self) -> None:
        """Raise ``PoolStarvation`` in the first waiter that would otherwise wait for ever.

        Called when a greenlet begins to wait, and periodically. Never waits.
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
