"""``Sender``: the direction of a connection in which responses go.

Says until when the client has to have taken more, and what it has not taken yet.
"""

from __future__ import annotations

import time
from typing import Any

from gevent.socket import wait_write

from concurrency.server.worker.http1.host import Host

__all__ = ["Sender"]

_PIECE = 65536


class Sender:
    """What sends to a client.

    Args:
        sock: its socket, cooperative.
        host: how it is served.

    Attributes:
        sock: its socket.
        until: when the client has to have done something, on the monotonic clock; None
            while it is the application's turn.
    """

    __slots__ = ("_host", "sock", "until")

    def __init__(self, sock: Any, host: Host) -> None:
        self.sock = sock
        self.until: float | None = None
        self._host = host

    def send(self, data: bytes) -> None:
        """Send bytes to the client.

        Raises:
            ConnectionError: the client has left, or reads nothing.
        """
        self.until = time.monotonic() + self._host.limits.stall
        sent = self.sock.send(data)
        if sent == len(data):
            self.until = None
            return
        began, view, unsent = time.monotonic(), memoryview(data), self._host.unsent
        entry = unsent.add(self.sock, len(view) - sent)
        try:
            while sent < len(view):
                self.until = self._host.limits.until(began, sent)
                more = self.sock.send(view[sent : sent + _PIECE])
                unsent.sent(entry, more)
                sent += more
        finally:
            unsent.remove(entry)
        self.until = None

    def wait_writable(self, began: float, moved: int) -> None:
        """Wait until the client takes more.

        Args:
            began: when it began to take what is sent, on the monotonic clock.
            moved: bytes that it has taken since.
        """
        self.until = self._host.limits.until(began, moved)
        wait_write(self.sock.fileno())
        self.until = None
