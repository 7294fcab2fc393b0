"""``Awaited``: connections whose clients owe bytes, and which of them ends when all are taken."""

from __future__ import annotations

import socket
import time
from typing import Any, Protocol

from concurrency.server.shutdown import shut_down

__all__ = ["Awaited", "Reader"]

# Seconds that a client has in any case: for a head most need less, of a body all send some.
_FOR_HEAD = 0.5
_FOR_BODY = 1.0


class Reader(Protocol):
    """What reads the body of a request.

    Attributes:
        sock: where from.
        body_since: when it waited for the first time, on the clock of ``time.monotonic()``.
        body_size: bytes that have come since.
    """

    sock: Any
    body_since: float
    body_size: int


class Awaited:
    """The connections of one worker that wait for more of a request at this moment."""

    def __init__(self) -> None:
        # By socket, the longest awaited first: since when.
        self._heads: dict[Any, float] = {}
        self._bodies: dict[Any, Reader] = {}

    def head(self, sock: Any) -> None:
        """Take note that a head has not come, or not all of it."""
        self._heads.setdefault(sock, time.monotonic())

    def has_head(self, sock: Any) -> None:
        """Take note that a head is complete, or that the connection has ended."""
        self._heads.pop(sock, None)

    def body(self, reader: Reader) -> None:
        """Take note that somebody waits for more of a body."""
        self._bodies[reader.sock] = reader

    def has_body(self, reader: Reader) -> None:
        """Take note that nobody does any more."""
        self._bodies.pop(reader.sock, None)

    def end_oldest_head(self) -> bool:
        """End the connection whose head has been awaited for longest; return whether there is one.

        Its reader finds the end of what the client has sent.
        """
        oldest = next(iter(self._heads.items()), None)
        if oldest is None or time.monotonic() - oldest[1] < _FOR_HEAD:
            return False
        del self._heads[oldest[0]]
        shut_down(oldest[0], socket.SHUT_RD)
        return True

    def end_slowest_body(self) -> bool:
        """End the connection whose body comes most slowly; return whether there is one."""
        now = time.monotonic()
        rates = {
            reader: reader.body_size / (now - reader.body_since)
            for reader in self._bodies.values()
            if now - reader.body_since >= _FOR_BODY
        }
        if not rates:
            return False
        slowest = min(rates, key=rates.__getitem__)
        self.has_body(slowest)
        shut_down(slowest.sock, socket.SHUT_RD)
        return True
