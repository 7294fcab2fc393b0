"""The queue of greenlets that want to write, first come, first served.

A database with one writer at a time lets the others compete for its lock; here they wait
in order, each on its hub. Does not depend on databases.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Any

from gevent.hub import Waiter, get_hub
from gevent.monkey import get_original

from concurrency.patching import signals


class _Ticket:
    """A place in the queue."""

    __slots__ = ("granted", "hub", "waiter")

    def __init__(self) -> None:
        self.hub = get_hub()
        self.waiter: Any = Waiter(self.hub)
        self.granted = False

    def grant(self) -> None:
        self.granted = True
        # The greenlet that gives the turn on can be in another thread.
        self.hub.loop.run_callback_threadsafe(self.waiter.switch, None)


class Turns:
    """One holder at a time; the others queue. ``Turn`` takes it and gives it on."""

    def __init__(self) -> None:
        # Native, because threads come here too; never held across a switch.
        # Reentrant, because a finaliser can give a turn back.
        self._lock = get_original("_thread", "RLock")()
        self._queue: deque[_Ticket] = deque()
        self._taken = False
        self._since = 0.0

    def take(self, seconds: float) -> bool:
        """Wait for the turn; return whether it came in time.

        Args:
            seconds: how long to wait.
        """
        # The turn stays taken while there is a queue, so no caller overtakes it.
        with self._lock:
            if not self._taken:
                self._taken, self._since = True, time.monotonic()
                return True
            ticket = _Ticket()
            self._queue.append(ticket)
        try:
            signals.get(ticket.waiter, seconds)
        except BaseException:
            self._leave(ticket)
            raise
        if ticket.granted:
            return True
        self._leave(ticket)
        return False

    def _leave(self, ticket: _Ticket) -> None:
        with self._lock:
            # Granted at the moment it left: pass the turn to the next one.
            if ticket.granted:
                self.give_on()
            elif ticket in self._queue:
                self._queue.remove(ticket)

    def give_on(self) -> None:
        """Give the turn to the next in the queue. Never waits; callable from any thread."""
        with self._lock:
            self._since = time.monotonic()
            if self._queue:
                self._queue.popleft().grant()
            else:
                self._taken = False

    @property
    def waiting(self) -> int:
        """Number of greenlets in the queue."""
        return len(self._queue)

    @property
    def is_taken(self) -> bool:
        """Whether a connection has the turn."""
        return self._taken

    def describe(self) -> str:
        """Return a readable description of the queue."""
        with self._lock:
            if not self._taken:
                return "nobody has the turn"
            held = time.monotonic() - self._since
            return f"the turn is taken for {held:.1f} s, {len(self._queue)} others wait for it"


class Turn:
    """The turn of one connection, whether held or not.

    Args:
        turns: the queue.
    """

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self.is_held = False

    def take(self, seconds: float) -> bool:
        """Wait for the turn unless it is already held; return whether it is held now."""
        if not self.is_held:
            self.is_held = self._turns.take(seconds)
        return self.is_held

    def give_on(self) -> None:
        """If the turn is held, give it to the next in the queue; callable from any thread."""
        is_held, self.is_held = self.is_held, False
        if is_held:
            self._turns.give_on()

    def describe(self) -> str:
        """Return a readable description of the queue."""
        return self._turns.describe()
