"""The queue of greenlets that wait for a connection.

It can hold thousands of waiters: removing and finding one needs no search. It has no lock
of its own and makes no decisions; ``Slots`` does both.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import Any

from gevent.event import Event
from gevent.exceptions import BlockingSwitchOutError

from concurrency.db.pool.lease import Lease
from concurrency.patching import signals


class Waiter:
    """One place in the queue; receives a connection, or the error of an attempt."""

    __slots__ = ("error", "event", "greenlet", "lease")

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        # The id is unique while the greenlet waits.
        self.greenlet = id(lease.owner())
        self.event = Event()
        self.error: BaseException | None = None

    def is_served(self) -> bool:
        """Return whether the wait is over."""
        return self.lease.connection is not None or self.error is not None

    def wait(self, seconds: float) -> None:
        """Wait until served, for at most this many seconds, or until the event is set."""
        self.event.clear()
        if self.is_served():  # before the event was cleared
            return
        try:
            self.event.wait(seconds)
        except BlockingSwitchOutError as error:
            signals.turn_hub(self.event.is_set, error, seconds)


class QueueFull(Exception):
    """The queue already has the maximum number of waiters."""


class Queue(OrderedDict[Waiter, None]):
    """The waiters, in order of arrival."""

    def __init__(self) -> None:
        super().__init__()
        # A count for each greenlet: a finaliser can wait in the middle of its greenlet's wait.
        self._greenlets: Counter[int] = Counter()
        self._lookout: Waiter | None = None

    def append(self, waiter: Waiter) -> None:
        """Add a waiter at the end."""
        self[waiter] = None
        self._greenlets[waiter.greenlet] += 1

    def remove(self, waiter: Waiter) -> bool:
        """Remove a waiter; return whether it was in the queue."""
        if waiter not in self:
            return False
        del self[waiter]
        self._greenlets[waiter.greenlet] -= 1
        if not self._greenlets[waiter.greenlet]:
            del self._greenlets[waiter.greenlet]
        return True

    def pop_first(self) -> Waiter:
        """Remove and return the waiter that has waited longest."""
        waiter = next(iter(self))
        self.remove(waiter)
        return waiter

    def end(self, waiter: Waiter) -> None:
        """End a wait: remove the waiter if it is still in the queue."""
        self.remove(waiter)
        if self._lookout is waiter:
            self._lookout = None
            if self:
                # Wake another waiter, which becomes the lookout; the last one stays longest.
                next(reversed(self)).event.set()

    def is_lookout(self, waiter: Waiter) -> bool:
        """Return whether this waiter looks after the pool for all waiters.

        If there is no lookout, the first waiter to ask becomes it.
        """
        self._lookout = self._lookout or waiter
        return self._lookout is waiter

    def has(self, greenlet: Any) -> bool:
        """Return whether a greenlet waits."""
        return id(greenlet) in self._greenlets
