"""``Drain``: whether a worker drains, and which clients are idle.

Owns the time at which the drain began, and the sockets of clients that may send a request
but have not. Does not depend on gunicorn or on requests.
"""

from __future__ import annotations

import errno
import socket
import ssl
import time
import weakref
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import gevent

from concurrency.hub.callbacks import call_safely
from concurrency.hub.readable import is_readable
from concurrency.server.worker.shutdown import shut_down

__all__ = ["TO_CANCEL", "Drain"]

#: Left of the graceful timeout to cancel what did not end by itself, in seconds: when it
#: has passed, gunicorn's arbiter kills the worker.
TO_CANCEL = 1.0

# A client that has just connected is about to send a request. It may take this long, in
# seconds, before its connection counts as idle.
_FRESH = 0.5


class Drain:
    """The drain of one worker, which begins once and cannot be undone.

    Attributes:
        begun: when it began, on the clock of ``time.monotonic()``; None before.
        delay: how long new connections are still served after that, in seconds.
        then: what is called at that moment; it must not wait.
    """

    def __init__(self) -> None:
        self.begun: float | None = None
        self.delay = 0.0
        self.then: Callable[[], None] = lambda: None
        # By socket, the longest idle first: from when on it may be closed, and which
        # greenlet reads from it. Weak, because
        # gunicorn's own worker does not tell when a connection ends.
        self._idle: WeakKeyDictionary[Any, tuple[float, weakref.ref[Any]]] = WeakKeyDictionary()

    def begin(self) -> None:
        """Begin the drain, if it has not begun. Safe in a signal handler."""
        if self.begun is None:
            self.begun = time.monotonic()
            self.then()

    def left(self, graceful_timeout: float) -> float:
        """Return the seconds until the remaining work is cancelled."""
        begun = time.monotonic() if self.begun is None else self.begun
        return begun + graceful_timeout - TO_CANCEL - time.monotonic()

    def is_idle(self, sock: Any, *, fresh: bool = False) -> None:
        """Take note of a client that may send a request now, to the greenlet that calls this.

        Args:
            sock: its socket.
            fresh: whether it has never sent one.
        """
        since = time.monotonic() + _FRESH if fresh else 0.0
        self._idle[sock] = since, weakref.ref(gevent.getcurrent())

    def is_busy(self, sock: Any) -> None:
        """Record a client that has sent data, or has disconnected."""
        self._idle.pop(sock, None)

    def close_idle(self) -> None:
        """Close every idle connection, unless a request is on it.

        The greenlet that reads from it still gets the bytes that have arrived before it sees
        the end. So a request that came at the last moment is served.
        """
        now = time.monotonic()
        for sock, (since, reader) in list(self._idle.items()):
            if since <= now:
                call_safely(self._close, sock, reader())  # runs in the hub at SIGTERM

    def close_longest_idle(self) -> bool:
        """Close the connection that has been idle for longest; return whether there is one."""
        for sock, (since, reader) in list(self._idle.items()):
            if since == 0.0 and sock.fileno() >= 0:  # a closed one makes no room
                self._close(sock, reader())
                return True
        return False

    def _close(self, sock: Any, reader: Any) -> None:
        self.is_busy(sock)
        if isinstance(sock, ssl.SSLSocket):
            # An end in the middle of TLS would be an error to it, of which it tells the client.
            if isinstance(reader, gevent.Greenlet) and not is_readable(sock.fileno()):
                gone = ConnectionResetError(errno.ECONNRESET, "closed because it was idle")
                reader.kill(gone, block=False)
            return
        shut_down(sock, socket.SHUT_RD)
