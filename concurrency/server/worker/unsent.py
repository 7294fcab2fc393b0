"""``Unsent``: the bytes of answers for which clients are slow.

Counts only what the kernel did not take at once. Knows sockets, neither requests nor gunicorn.
"""

from __future__ import annotations

import logging
import socket
from typing import Any

from concurrency.server.worker.shutdown import shut_down

__all__ = ["OVER", "Unsent"]

logger = logging.getLogger("concurrency.server")

#: Seconds over which the rate of a client is averaged.
OVER = 30.0


class Entry:
    """The rest of one answer.

    Attributes:
        size: bytes that are left.
    """

    __slots__ = ("size", "sock")

    def __init__(self, sock: Any, size: int) -> None:
        self.sock = sock
        self.size = size


class Unsent:
    """The unsent bytes of one worker's answers.

    Attributes:
        limit: bytes; when there are more, the client that has been served for longest is
            dropped. One answer is always allowed. 0: no limit.
        size: how many there are now.
        dropped: how many clients were dropped for the limit.
    """

    def __init__(self, limit: int = 0) -> None:
        self.limit = limit
        self._entries: dict[Entry, None] = {}  # the oldest first
        self.size = 0
        self.dropped = 0

    def add(self, sock: Any, size: int) -> Entry:
        """Take note of the rest of an answer; drop the slowest clients if it is too much."""
        entry = Entry(sock, size)
        self._entries[entry] = None
        self.size += size
        while self.limit and self.size > self.limit and len(self._entries) > 1:
            oldest = next(iter(self._entries))
            self.dropped += 1
            logger.warning(
                "%d bytes are unsent, more than max-unsent: the client that has taken longest "
                "is dropped",
                self.size,
            )
            self.remove(oldest)
            shut_down(oldest.sock, socket.SHUT_RDWR)
        return entry

    def sent(self, entry: Entry, size: int) -> None:
        """Take note of bytes that were sent."""
        if entry in self._entries:
            entry.size -= size
            self.size -= size

    def remove(self, entry: Entry) -> None:
        """Forget an answer, whether or not all of it was sent."""
        if entry in self._entries:
            del self._entries[entry]
            self.size -= entry.size
