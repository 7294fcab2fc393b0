"""The queue of those who wait for a connection.

It may be thousands long: each may leave it, and be looked for, without a search. It
has no lock of its own and decides nothing; ``Slots`` does.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import Any

from gevent.event import Event
from gevent.exceptions import BlockingSwitchOutError

from concurrency.db.pool.lease import Lease
from concurrency.patching import signals


class Waiter:
    """One place in the queue: is given a connection, or the error of an attempt."""

    __slots__ = ("error", "event", "greenlet", "lease")

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        # As a number, which is nobody else's while it waits.
        self.greenlet = id(lease.owner())
        self.event = Event()
        self.error: BaseException | None = None

    def is_served(self) -> bool:
        """Return whether the wait is over."""
        return self.lease.connection is not None or self.error is not None

    def wait(self, seconds: float) -> None:
        """Wait until it is over, for this many seconds, or until the event is set."""
        self.event.clear()
        if self.is_served():  # before the event was cleared
            return
        try:
            self.event.wait(seconds)
        except BlockingSwitchOutError as error:
            signals.turn_hub(self.event.is_set, error, seconds)


class QueueFull(Exception):
    """There are as many waiters as there may be."""


class Queue(OrderedDict[Waiter, None]):
    """Those who wait, in order."""

    def __init__(self) -> None:
        super().__init__()
        # A finaliser may wait in the middle of its greenlet's own wait, so: how often.
        self._greenlets: Counter[int] = Counter()
        self._lookout: Waiter | None = None

    def append(self, waiter: Waiter) -> None:
        """Let somebody wait behind all others."""
        self[waiter] = None
        self._greenlets[waiter.greenlet] += 1

    def remove(self, waiter: Waiter) -> bool:
        """Take somebody out; return whether it was waiting."""
        if waiter not in self:
            return False
        del self[waiter]
        self._greenlets[waiter.greenlet] -= 1
        if not self._greenlets[waiter.greenlet]:
            del self._greenlets[waiter.greenlet]
        return True

    def pop_first(self) -> Waiter:
        """Take out who has waited longest."""
        waiter = next(iter(self))
        self.remove(waiter)
        return waiter

    def end(self, waiter: Waiter) -> None:
        """End a wait: take the waiter out, if it was not served."""
        self.remove(waiter)
        if self._lookout is waiter:
            self._lookout = None
            if self:
                # Another one has to ask whether it is the lookout now: the last stays longest.
                next(reversed(self)).event.set()

    def is_lookout(self, waiter: Waiter) -> bool:
        """Return whether a waiter is the one that looks after the pool for all that wait.

        The first to ask becomes it, when there is none.
        """
        self._lookout = self._lookout or waiter
        return self._lookout is waiter

    def has(self, greenlet: Any) -> bool:
        """Return whether a greenlet waits."""
        return id(greenlet) in self._greenlets
