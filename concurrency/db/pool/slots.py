"""The bookkeeping of a pool: leases, idle connections, waiters, and attempts in progress.

Every connection occupies one of ``max_size`` slots, from before it is opened until the
server has confirmed its end: leased, idle, connecting or discarding. Each method makes
one decision, under a lock that is never held across a wait. Nothing here opens, cleans
or closes a connection; ``Pool`` does that according to the return values.
"""

from __future__ import annotations

import copy
from collections.abc import Collection
from time import monotonic
from typing import Any

from gevent.monkey import get_original

from concurrency.db.pool.back_off import BackOff, Outage
from concurrency.db.pool.connection import WARM, PooledConnection
from concurrency.db.pool.lease import Lease
from concurrency.db.pool.options import PoolOptions
from concurrency.db.pool.statistics import PoolStatistics
from concurrency.db.pool.waiters import Queue, QueueFull, Waiter


class Slots:
    """The state of one pool.

    Args:
        options: sizes and times of the pool.
    """

    def __init__(self, options: PoolOptions) -> None:
        self._options = options
        # Native, because threads of offload come here too. Reentrant, because the
        # garbage collector can run a finaliser that queries while the lock is held.
        self._lock = get_original("_thread", "RLock")()
        self._idle: list[PooledConnection] = []
        self._leases: set[Lease] = set()
        self._waiters = Queue()
        self._connecting = 0
        self._discarding = 0
        self._closed = False
        self._back_off = BackOff()
        self._timeouts = 0
        #: Grows when the connections opened so far must not be used any more.
        self.generation = 0

    def take_warm(self, lease: Lease) -> bool:
        """Give a lease the connection given back just now, unless there are waiters.

        The usual case, in one step, without a check of socket or age.
        """
        with self._lock:
            # Before the check: a call can collect garbage, and a finaliser take the same one.
            now = monotonic()
            if not self._idle or self._waiters or now - self._idle[-1].idle_since > WARM:
                return False
            self._grant(lease, self._idle.pop(), now)
            return True

    def take(self, lease: Lease) -> Waiter | None:
        """Give a lease an idle connection, or a place in the queue.

        Decides whether this caller must queue: it gets a connection at once only if
        there are no waiters, which it would otherwise overtake.

        Raises:
            QueueFull: there are already ``max_waiting`` waiters.
        """
        with self._lock:
            if self._idle and not self._waiters:
                self._grant(lease, self._idle.pop(), monotonic())
                return None
            if 0 < self._options.max_waiting <= len(self._waiters):
                raise QueueFull
            waiter = Waiter(lease)
            self._waiters.append(waiter)
            return waiter

    def leave(self, waiter: Waiter) -> None:
        """End a wait: remove the waiter from the queue if it was not served."""
        with self._lock:
            self._waiters.end(waiter)

    def is_lookout(self, waiter: Waiter) -> bool:
        """Return whether this waiter looks after the pool for all waiters."""
        with self._lock:
            return self._waiters.is_lookout(waiter)

    def _grant(self, lease: Lease, connection: PooledConnection, now: float) -> None:
        """Begin a lease; under the lock."""
        lease.connection = connection
        connection.guard.lease = lease
        lease.since = now
        self._leases.add(lease)

    def give_back(self, lease: Lease, *, fit: bool) -> PooledConnection | None:
        """End a lease; return its connection if it has to be cleaned or closed.

        Args:
            lease: the lease to end; one that has already ended is ignored.
            fit: whether the connection can be leased again as it is.
        """
        with self._lock:
            connection, lease.connection = lease.connection, None
            if connection is None:
                return None
            self._leases.discard(lease)
            connection.was_given_back()
            if fit and self._put(connection):
                return None
            self._discarding += 1
            return connection

    def is_current(self, connection: PooledConnection, now: float) -> bool:
        """Return whether a connection's generation and age allow its use at a monotonic time."""
        return connection.generation == self.generation and now < connection.expires

    def is_wanted(self, connection: PooledConnection) -> bool:
        """Return whether a connection is worth cleaning."""
        return self.is_current(connection, monotonic()) and not self._closed

    def _put(self, connection: PooledConnection) -> bool:
        """Hand a fit connection to the first waiter, or keep it; under the lock.

        Returns False when it has to be closed instead.
        """
        connection.idle_since = now = monotonic()
        # A closed pool still needs a connection for its waiters.
        is_wanted = not self._closed or (self._waiters and connection.generation == self.generation)
        if now >= connection.expires or not is_wanted:
            return False
        if connection.cursors:
            connection.cursors.clear()  # none of them is open
        if self._waiters:
            waiter = self._waiters.pop_first()
            self._grant(waiter.lease, connection, now)
            waiter.event.set()
        else:
            self._idle.append(connection)
        return True

    # Opening

    def _used(self) -> int:
        return len(self._leases) + len(self._idle) + self._connecting + self._discarding

    def reserve(self) -> int:
        """Occupy slots for connections that should be opened now; return how many.

        Decides how many: one for each waiter without an attempt in progress, and up to
        ``min_size``, limited by the free slots. Slots are occupied before anything
        waits, so a rush cannot exceed ``max_size``. While the server refuses
        connections, a single attempt serves all waiters, after the pause.
        """
        with self._lock:
            least = 0 if self._closed else self._options.min_size
            wanted = max(len(self._waiters) - self._connecting, least - self._used())
            free = self._options.max_size - self._used()
            if self._back_off.failures:
                free = min(free, 0 if self._connecting or self._back_off.left() else 1)
            number = max(0, min(wanted, free))
            self._connecting += number
            return number

    def opened(self, connection: PooledConnection) -> bool:
        """Put a new connection to use; return False if it must be closed again."""
        with self._lock:
            self._connecting -= 1
            self._back_off.succeeded()
            if self._put(connection):
                return True
            self._discarding += 1
            return False

    def failed(self, error: BaseException, *, of_server: bool) -> bool:
        """Record a failed attempt; return whether a waiter gets the error.

        Decides which waiters get it. The first in the queue always does. All others do
        too if the server refuses connections and none is left that could be given back
        to them; each of them would otherwise need an attempt of its own.

        Args:
            error: the error of the attempt.
            of_server: whether to pause before the next attempt.
        """
        with self._lock:
            self._connecting -= 1
            if of_server:
                self._back_off.failed(error)
            everybody = of_server and not self._used()
            told = len(self._waiters) if everybody else min(1, len(self._waiters))
            for number in range(told):
                waiter = self._waiters.pop_first()
                # A copy, or one error would collect the tracebacks of many greenlets.
                waiter.error = copy.copy(error) if number else error
                waiter.event.set()
            return told > 0

    def fail(self, waiter: Waiter, error: BaseException) -> None:
        """End a wait with an error, unless it has already ended."""
        with self._lock:
            if self._waiters.remove(waiter):
                waiter.error = error
                waiter.event.set()

    # Ending

    def cleaned(self, connection: PooledConnection) -> bool:
        """Put a cleaned connection to use; return False if it must be closed."""
        with self._lock:
            if not self._put(connection):
                return False
            self._discarding -= 1
            return True

    def ended(self) -> None:
        """Free the slot of a connection that was discarded."""
        with self._lock:
            self._discarding -= 1

    def close(self) -> list[PooledConnection]:
        """Keep no connection from now on; return the idle ones, which the caller closes.

        Waiters are still served.
        """
        with self._lock:
            self._closed = True
            self.generation += 1
            idle, self._idle = self._idle, []
            self._discarding += len(idle)
            return idle

    def shrink(self) -> list[PooledConnection]:
        """Return connections idle longer than ``max_idle``, which the caller closes."""
        with self._lock:
            oldest = monotonic() - self._options.max_idle
            surplus = max(0, self._used() - self._options.min_size)
            expired = [c for c in self._idle if c.idle_since < oldest][:surplus]
            for connection in expired:
                self._idle.remove(connection)
            self._discarding += len(expired)
            return expired

    # Looking

    def outage(self) -> Outage | None:
        """Return the current outage, None if the server accepts connections."""
        with self._lock:
            return self._back_off.outage()

    def pause(self) -> float:
        """Return the seconds until the next attempt at a server that refuses connections."""
        with self._lock:
            return self._back_off.left()

    def leases(self) -> list[Lease]:
        """Return the leases, oldest first."""
        with self._lock:
            return sorted(self._leases, key=lambda lease: lease.since)

    def first_of(self, greenlets: Collection[Any]) -> Waiter | None:
        """Return the first waiter whose greenlet is among these, None if there is none."""
        with self._lock:
            mine = (each for each in self._waiters if each.lease.owner() in greenlets)
            return next(mine, None) if greenlets else None

    def are_all_leased(self) -> bool:
        """Return whether there are waiters that only the end of a lease can serve."""
        return bool(self._waiters) and len(self._leases) >= self._options.max_size

    def is_waiting(self, greenlet: Any) -> bool:
        """Return whether a greenlet is in the queue."""
        return self._waiters.has(greenlet)

    def is_quiet(self) -> bool:
        """Return whether there are neither leases nor idle connections."""
        return not (self._leases or self._idle)

    def timed_out(self) -> PoolStatistics:
        """Count a caller that gets no connection; return the current numbers."""
        with self._lock:
            self._timeouts += 1
            return self.statistics()

    def statistics(self) -> PoolStatistics:
        """Return the current numbers."""
        with self._lock:
            in_use, idle = len(self._leases), len(self._idle)
            return PoolStatistics(
                max_size=self._options.max_size,
                open=in_use + idle,
                in_use=in_use,
                idle=idle,
                connecting=self._connecting,
                discarding=self._discarding,
                waiting=len(self._waiters),
                timeouts=self._timeouts,
            )
