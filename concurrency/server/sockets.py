"""The ends of connections: how they are accepted and read when clients are slow, or never speak."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

import gevent
from gevent.server import StreamServer
from gunicorn.http.unreader import SocketUnreader

from concurrency.server.drain import Drain

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
        handshake_limit: seconds that one may take.
    """

    drain: Drain
    handshake_limit: float

    wrap_socket: Any
    ssl_args: Any

    def wrap_socket_and_handle(self, client_socket: Any, address: Any) -> Any:
        """Serve a client on TLS, if it speaks TLS."""
        secured = self.wrap_socket(client_socket, do_handshake_on_connect=False, **self.ssl_args)
        with closing(secured):
            return self.handle(secured, address) if self._shakes_hands(secured) else None

    def _shakes_hands(self, secured: Any) -> bool:
        done = False
        self.drain.is_idle(secured, fresh=True)
        try:
            # False: it ends the block and is not raised.
            with gevent.Timeout(self.handshake_limit, False):  # type: ignore[arg-type]
                secured.do_handshake()
                done = True
        except OSError:
            pass  # it spoke something else, or left
        finally:
            self.drain.is_busy(secured)
        return done


class Unreader(SocketUnreader):  # type: ignore[misc]
    """Reads from a client, and takes one that stalls for one that has left.

    Attributes:
        give_up: called when it stalls.
        head_until: when the head of the next request has to be there, on the clock of
            ``time.monotonic()``; None while a request is answered.
    """

    give_up: Callable[[], None]
    head_until: float | None

    def chunk(self, size_hint: int | None = None) -> bytes:
        """Return what has arrived; nothing at the end."""
        if self.head_until is not None:
            self.sock.settimeout(max(_NOW, self.head_until - time.monotonic()))
        try:
            return bytes(super().chunk(size_hint))
        except TimeoutError:
            self.give_up()
            return b""
