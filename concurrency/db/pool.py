"""A strict, fair, bounded pool of connections.

It owns the slots, the queue and the idle connections. It knows drivers through
``Driver`` alone, and nothing of Django's wrappers.

Every connection occupies one of ``max_size`` slots from before it is opened
until after its end is confirmed: leased, idle, connecting or discarding. All
decisions are made under a lock that is never held while something waits; opening
and cleaning happen in greenlets of the pool, which no caller's kill can reach.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import gevent
from django.db.utils import OperationalError
from gevent.event import Event
from gevent.hub import get_hub
from gevent.monkey import get_original

from concurrency.db import cleaning
from concurrency.db.connection import Holding, Lease, PooledConnection
from concurrency.db.driver import Driver
from concurrency.db.errors import PoolTimeout
from concurrency.db.options import PoolOptions
from concurrency.db.statistics import PoolStatistics

logger = logging.getLogger("concurrency.db")

# Greenlets of pools run in the main thread, which imports this; the hub of a thread
# of offload only turns while a call waits there.
home_hub = get_hub()

# A dead owner without a link to its death is noticed within this many seconds.
_REAP_INTERVAL = 1.0

# For servers that accept a connection and never answer; seconds.
_CONNECT_LIMIT = 10.0


class _Waiter:
    """One place in the queue: is given a connection, or the error of an attempt."""

    __slots__ = ("error", "event", "lease")

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        self.event = Event()
        self.error: BaseException | None = None


class Template(Protocol):
    """Opens the connections of a pool, which are all alike."""

    def open_raw(self) -> Any:
        """Return a new connection of the driver."""

    def fingerprint(self) -> tuple[Any, ...]:
        """Return what the connections have in common."""


class Pool:
    """Connections of one process to one database.

    Args:
        alias: name of the database, for messages.
        options: sizes and times.
        driver: how to handle a connection.
        template: opens connections, in greenlets of the pool.
    """

    def __init__(
        self,
        alias: str,
        options: PoolOptions,
        driver: Driver,
        template: Template,
    ) -> None:
        self.alias = alias
        self.options = options
        self._driver = driver
        self.template = template
        # Native, because threads of offload come here too; never held across a switch.
        # Reentrant, because the garbage collector may run a finaliser that queries.
        self._lock = get_original("_thread", "RLock")()
        self._idle: list[PooledConnection] = []
        self._leases: set[Lease] = set()
        self._waiters: deque[_Waiter] = deque()
        self._connecting = 0
        self._discarding = 0
        self._timeouts = 0
        self._generation = 0
        self._closed = False
        self._hub = home_hub
        self._reaper: Any = None

    # Leasing

    def lease(self, holder: Holding) -> Lease:
        """Return a lease on a connection that is open, idle and clean.

        Args:
            holder: what will give the lease back; when it is garbage, or the
                calling greenlet is dead, the pool takes the connection itself.

        Raises:
            PoolTimeout: none was free in time, or too many are waiting.
            Exception: what opening a connection raised.
        """
        lease = Lease(holder, gevent.getcurrent())
        try:
            while True:
                waiter = self._take_or_queue(lease)
                if waiter is not None:
                    self._wait(waiter)
                if self._usable(lease):
                    self._watch_owners()
                    return lease
        except BaseException:
            # A connection that was given to this caller in the moment it left has
            # to go to the next one, or its slot would be lost.
            self.give_back(lease)
            raise

    def _take_or_queue(self, lease: Lease) -> _Waiter | None:
        # Decided here: whether this caller gets an idle connection at once or
        # queues. It may only pass when nobody queues, or it would overtake.
        with self._lock:
            if self._idle and not self._waiters:
                lease.connection = self._idle.pop()
                self._leases.add(lease)
                return None
            if 0 < self.options.max_waiting <= len(self._waiters):
                raise self._timeout(0.0)
            waiter = _Waiter(lease)
            self._waiters.append(waiter)
            self._open_for_waiters()
            return waiter

    def _wait(self, waiter: _Waiter) -> None:
        """Wait in order for a connection."""
        started = time.monotonic()
        try:
            while waiter.lease.connection is None and waiter.error is None:
                left = started + self.options.timeout - time.monotonic()
                if left <= 0:
                    raise self._timeout(time.monotonic() - started)
                self.reap()
                waiter.event.wait(min(left, _REAP_INTERVAL))
        finally:
            with self._lock:
                if waiter in self._waiters:
                    self._waiters.remove(waiter)
        if waiter.error is not None:
            raise waiter.error

    def _usable(self, lease: Lease) -> bool:
        """Return whether a leased connection may be handed out; discard it if not."""
        connection = lease.connection
        assert connection is not None  # noqa: S101 - given by lease()
        if self._is_current(connection) and cleaning.is_alive(self._driver, connection.raw):
            lease.since = time.monotonic()
            return True
        lease.connection = None
        with self._lock:
            self._leases.discard(lease)
        self._discard(connection)
        return False

    def _is_current(self, connection: PooledConnection) -> bool:
        return connection.generation == self._generation and time.monotonic() < connection.expires

    def give_back(self, lease: Lease) -> None:
        """End a lease. Never waits, so that it may be called in the hub.

        A connection that is not idle and clean is first cleaned by a greenlet of
        the pool. Giving back twice does nothing.
        """
        with self._lock:
            connection, lease.connection = lease.connection, None
            if connection is None:
                return
            self._leases.discard(lease)
            clean = not connection.needs_reset() and self._driver.is_clean(connection.raw)
            if clean and self._put(connection):
                return
            self._discarding += 1
        self._in_pool_greenlet(self._clean, connection)

    def _put(self, connection: PooledConnection) -> bool:
        """Hand a clean connection to the first waiter, or keep it; under the lock.

        Returns False when it is neither wanted nor young enough: it has to be closed.
        """
        if not self._is_current(connection):
            return False
        connection.idle_since = time.monotonic()
        connection.cursors.clear()  # none of them is open
        if self._waiters:
            waiter = self._waiters.popleft()
            waiter.lease.connection = connection
            self._leases.add(waiter.lease)
            waiter.event.set()
        elif self._closed:
            return False
        else:
            self._idle.append(connection)
        return True

    # Opening

    def _free_slots(self) -> int:
        used = len(self._leases) + len(self._idle) + self._connecting + self._discarding
        return self.options.max_size - used

    def _open_for_waiters(self) -> None:
        """Start as many attempts as there are waiters without one; under the lock."""
        wanted = len(self._waiters) - self._connecting
        least = 0 if self._closed else self.options.min_size
        floor = least - (self.options.max_size - self._free_slots())
        for _ in range(min(max(wanted, floor), self._free_slots())):
            self._connecting += 1
            self._in_pool_greenlet(self._connect)

    def _connect(self) -> None:
        generation = self._generation
        late = OperationalError(f"no connection to the server within {_CONNECT_LIMIT:g} s")
        try:
            with gevent.Timeout(_CONNECT_LIMIT, late):
                raw = self.template.open_raw()
        except BaseException as error:  # noqa: BLE001 - raised in the greenlet that waits
            with self._lock:
                self._connecting -= 1
                if self._waiters:
                    waiter = self._waiters.popleft()
                    waiter.error = error
                    waiter.event.set()
                else:
                    logger.warning("pool %r: cannot connect: %s", self.alias, error)
                self._open_for_waiters()
            return
        lifetime = self.options.max_lifetime
        connection = PooledConnection(raw, generation=generation, lifetime=lifetime)
        with self._lock:
            self._connecting -= 1
            if self._put(connection):
                return
            self._discarding += 1
        self._close(connection)

    # Closing

    def _discard(self, connection: PooledConnection) -> None:
        with self._lock:
            self._discarding += 1
        self._in_pool_greenlet(self._close, connection)

    def _clean(self, connection: PooledConnection) -> None:
        """Make a connection fit for the next holder, or close it."""
        wanted = self._is_current(connection) and not self._closed
        if wanted and cleaning.make_clean(self._driver, connection):
            with self._lock:
                if self._put(connection):
                    self._discarding -= 1
                    return
        self._close(connection)

    def _close(self, connection: PooledConnection) -> None:
        try:
            cleaning.close(self._driver, connection.raw)
        finally:
            with self._lock:
                self._discarding -= 1
                self._open_for_waiters()

    def close(self) -> None:
        """Close all idle connections now, and those in use when they come back.

        Who waits is still served; nothing is kept.
        """
        with self._lock:
            self._closed = True
            self._generation += 1
            idle, self._idle = self._idle, []
            self._discarding += len(idle)
        for connection in idle:
            self._close(connection)

    def abandon(self) -> None:
        """Forget everything, close nothing; for a child process after fork.

        The sessions belong to the parent, and closing one here would end it there.
        """
        if self._reaper is not None:
            self._reaper.close()
        for lease in self._leases:
            holder = lease.holder()
            if holder is not None:
                holder.forsake()

    # Watching

    def reap(self) -> None:
        """Take back what dead greenlets hold, and close what is idle for too long.

        Never waits, so that it may run in the hub.
        """
        with self._lock:
            orphans = [lease for lease in self._leases if lease.is_orphan()]
            oldest = time.monotonic() - self.options.max_idle
            surplus = self.options.max_size - self._free_slots() - self.options.min_size
            expired = [c for c in self._idle if c.idle_since < oldest][: max(0, surplus)]
            for connection in expired:
                self._idle.remove(connection)
            self._discarding += len(expired)
        for lease in orphans:
            logger.debug("pool %r: %r left without giving it back", self.alias, lease)
            self.give_back(lease)
        for connection in expired:
            self._in_pool_greenlet(self._close, connection)

    def _watch_owners(self) -> None:
        if self._reaper is None and get_hub() is self._hub:
            self._reaper = self._hub.loop.timer(_REAP_INTERVAL, _REAP_INTERVAL, ref=False)
            self._reaper.start(self._reap_in_hub)

    def _reap_in_hub(self) -> None:
        self.reap()
        with self._lock:
            quiet = not (self._leases or self._idle)
        if quiet:
            self._reaper.close()
            self._reaper = None

    def _in_pool_greenlet(self, work: Callable[..., None], *args: object) -> None:
        if get_hub() is self._hub:
            gevent.spawn(work, *args)
        else:
            self._hub.loop.run_callback_threadsafe(gevent.spawn, work, *args)

    def statistics(self) -> PoolStatistics:
        """Return the pool's numbers at this moment."""
        with self._lock:
            in_use, idle = len(self._leases), len(self._idle)
            return PoolStatistics(
                max_size=self.options.max_size,
                open=in_use + idle,
                in_use=in_use,
                idle=idle,
                connecting=self._connecting,
                discarding=self._discarding,
                waiting=len(self._waiters),
                timeouts=self._timeouts,
            )

    def _timeout(self, seconds: float) -> PoolTimeout:
        with self._lock:
            self._timeouts += 1
            leases = sorted(self._leases, key=lambda lease: lease.since)
            return PoolTimeout(
                self.alias,
                seconds=seconds,
                max_size=self.options.max_size,
                waiting=max(0, len(self._waiters) - 1) if seconds else len(self._waiters),
                connecting=self._connecting,
                discarding=self._discarding,
                holders=tuple(lease.describe() for lease in leases),
            )
