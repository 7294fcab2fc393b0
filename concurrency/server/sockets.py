"""The ends of connections: how they are accepted and read when clients are slow, or never speak."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import gevent
from gevent.server import StreamServer
from gunicorn.http.unreader import SocketUnreader

from concurrency.server.awaited import Awaited
from concurrency.server.drain import Drain
from concurrency.server.unsent import Pace, Unsent

__all__ = ["Address", "Server", "Unreader"]


_NOW = 0.001  # seconds; to wait for none at all would be another error


class Address:
    """Where a listener listens; it has to be known after the listener was closed."""

    def __init__(self, name: Any) -> None:
        self._name = name

    def getsockname(self) -> Any:
        """Return the address."""
        return self._name


class Server(StreamServer):
    """Accepts connections, and limits the time of TLS handshakes.

    Attributes:
        drain: told of clients that have not finished theirs.
        awaited: the same, for when all connections are taken.
        handshake_limit: seconds that one may take.
    """

    drain: Drain
    awaited: Awaited
    handshake_limit: float

    wrap_socket: Any
    ssl_args: Any

    def wrap_socket_and_handle(self, client_socket: Any, address: Any) -> Any:
        """Serve a client on TLS, if it speaks TLS."""
        secured = self.wrap_socket(client_socket, do_handshake_on_connect=False, **self.ssl_args)
        with closing(secured):
            return self.handle(secured, address) if self._shakes_hands(secured) else None

    def take_backlog(self, most: int) -> None:
        """Accept who has connected already, and nobody else.

        Args:
            most: how many the kernel keeps.
        """
        self.stop_accepting()
        for _ in range(most):
            client = None if self.full() else self.do_read()
            if not client:
                return
            self.do_handle(*client)

    def _shakes_hands(self, secured: Any) -> bool:
        done = False
        self.drain.is_idle(secured, fresh=True)
        self.awaited.head(secured)
        try:
            # False: it ends the block and is not raised.
            with gevent.Timeout(self.handshake_limit, False):  # type: ignore[arg-type]
                secured.do_handshake()
                done = True
        except OSError:
            pass  # it spoke something else, or left
        finally:
            self.drain.is_busy(secured)
            self.awaited.has_head(secured)
        return done


class Unreader(SocketUnreader):  # type: ignore[misc]
    """Reads from a client, and takes one that stalls or drips for one that has left.

    Attributes:
        give_up: called when it does.
        head_until: when the head of the next request has to be there, on the clock of
            ``time.monotonic()``; None while a request is answered.
        awaited: told of heads and bodies that have not come at once.
        unsent: gives what judges how fast the body comes.
        pace: that, when the body was waited for.
        body_since: when it was waited for first, on the same clock.
        body_size: bytes that have come since.
    """

    sock: Any
    give_up: Callable[[], None]
    head_until: float | None
    awaited: Awaited
    unsent: Unsent
    pace: Pace | None
    body_since: float
    body_size: int

    def begin(self, give_up: Callable[[], None], awaited: Awaited, unsent: Unsent) -> None:
        """Read the body of a request from now on."""
        self.head_until = self.pace = None
        self.give_up, self.awaited, self.unsent = give_up, awaited, unsent

    def chunk(self, size_hint: int | None = None) -> bytes:
        """Return what has arrived; nothing at the end."""
        if self.head_until is None:
            return self._of_body(size_hint)
        self.awaited.head(self.sock)
        self.sock.settimeout(max(_NOW, self.head_until - time.monotonic()))
        return self._received(size_hint)

    def _of_body(self, size_hint: int | None) -> bytes:
        begun = time.monotonic()
        if self.pace is None:
            self.pace = self.unsent.pace()
            self.body_since, self.body_size = begun, 0
        self.awaited.body(self)
        try:
            data = self._received(size_hint)
        finally:
            self.awaited.has_body(self)
        self.body_size += len(data)
        if not self.pace.suffices(time.monotonic() - begun, len(data)):
            self.give_up()
            return b""
        return data

    def _received(self, size_hint: int | None) -> bytes:
        try:
            return bytes(super().chunk(size_hint))
        except TimeoutError:
            self.give_up()
            return b""
