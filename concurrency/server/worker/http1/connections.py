"""``Connections``: those of one worker; ends the ones whose clients take too long.

Timers of their own would be started and stopped for each request. Each connection says
until when its client has to do something, and all are looked at from time to time.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator

from concurrency.server.worker.http1.connection import Connection

__all__ = ["Connections"]

logger = logging.getLogger("concurrency.server")

# A client that has just connected is about to send a request: seconds before it may be
# taken for idle by a worker that drains.
_FRESH = 0.5

# Seconds that any body may take before its client counts as slow.
_SLOW = 1.0


class Connections:
    """The connections of one worker.

    Args:
        limit: how many there may be. One more is taken in, for which room is made.
        crowded: called when there is one more, and nobody to make room at once.
    """

    def __init__(self, limit: int, crowded: Callable[[], None]) -> None:
        self._limit = limit
        self._crowded = crowded
        self._all: dict[Connection, None] = {}
        # The longest idle first.
        self._idle: dict[Connection, float] = {}

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Connection]:
        return iter(list(self._all))

    def add(self, connection: Connection) -> None:
        """Take a new connection in; make room for it if there is none."""
        self._all[connection] = None
        if not self.has_room():
            self._crowded()  # to look again in a moment

    def discard(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        self._all.pop(connection, None)
        self._idle.pop(connection, None)

    def is_idle(self, connection: Connection, *, fresh: bool) -> None:
        """Take note that no request is under way on a connection.

        Args:
            connection: which one.
            fresh: whether there has never been one.
        """
        self._idle[connection] = time.monotonic() + _FRESH if fresh else 0.0
        if not fresh:
            self.has_room()

    def is_busy(self, connection: Connection) -> None:
        """Take note that the client has sent something, or has left."""
        self._idle.pop(connection, None)

    def has_room(self) -> bool:
        """Return whether there are not too many, or one ends now.

        With the oldest head nothing is lost, with an idle connection hardly anything. One
        whose request is answered is left alone, and so is one that has just been opened.
        """
        if len(self._all) <= self._limit:
            return True
        now = time.monotonic()
        oldest = next((each for each in self._all if each.owes_head_since < now - _FRESH), None)
        if oldest is not None:
            oldest.cut()
            return True
        longest = next((each for each, since in self._idle.items() if not since), None)
        if longest is not None:
            self._close_idle(longest)
            return True
        bodies = [each for each in self._all if each.owes_body_since < now - _SLOW]
        if bodies:
            min(bodies, key=lambda each: each.body_rate(now)).cut()
        return bool(bodies)

    def close_idle(self) -> None:
        """End every idle connection, unless a request is on it.

        What has arrived is still read, and only then the end. So a request that came in
        the last moment is answered.
        """
        now = time.monotonic()
        for connection, since in list(self._idle.items()):
            if since <= now:
                self._close_idle(connection)

    def _close_idle(self, connection: Connection) -> None:
        self._idle.pop(connection, None)
        connection.close_idle()

    def sweep(self) -> bool:
        """End connections whose clients have taken too long; return whether there is room."""
        now = time.monotonic()
        for connection in list(self._all):
            if connection.until is not None and connection.until < now:
                logger.info("%r is cut: its client is too slow", connection)
                connection.cut()
        return self.has_room()
