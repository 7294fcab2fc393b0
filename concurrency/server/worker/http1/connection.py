"""``Connection``: one client, from its first byte to its last.

Reads requests, has them answered one after the other, and ends. It sets until when the
client has to do something; who ends a client that does not is ``Connections``.
"""

from __future__ import annotations

import contextlib
import errno
import math
import socket
import ssl
import time
from functools import partial
from typing import Any

import gevent

from concurrency.hub.readable import is_readable
from concurrency.server.worker.bodies import BodyCutOff
from concurrency.server.worker.http1.body import ExpectedBody
from concurrency.server.worker.http1.host import Host
from concurrency.server.worker.http1.parser import Parser
from concurrency.server.worker.http1.refusals import Refusal
from concurrency.server.worker.http1.request import Request
from concurrency.server.worker.http1.sender import Sender
from concurrency.server.worker.shutdown import shut_down

__all__ = ["Connection"]

_RECEIVE = 65536
_LINGER = 5.0  # seconds in which the rest of what was refused is read

_TOO_SLOW = partial(Refusal, 408, "The request came too slowly.")

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Connection(Sender):
    """A client's connection.

    Args:
        sock: its socket, cooperative.
        peer: its address.
        host: how it is served.
        own: what the connection decides of the WSGI environment.

    Attributes:
        sock: its socket.
        until: when the client has to have done something, on the monotonic clock; None
            while it is the application's turn.
        peer: the client's address.
        since: when it was opened, on the monotonic clock.
        owes_head_since: since when a head is awaited: of the first request, or of one that
            has begun; infinity while none is.
        owes_body_since: since when a body is awaited; infinity while none is.
    """

    __slots__ = (
        "__weakref__",
        "_greenlet",
        "_is_late",
        "_parser",
        "_reads",
        "owes_body_since",
        "owes_head_since",
        "peer",
        "since",
    )

    def __init__(self, sock: Any, peer: Any, host: Host, own: dict[str, Any]) -> None:
        super().__init__(sock, host)
        self.peer = peer
        self.since = self.owes_head_since = time.monotonic()
        self.owes_body_since = math.inf
        self._parser = Parser(host.rules, host.template, own, peer, host.store)
        self._greenlet: Any = gevent.getcurrent()
        self._reads = False
        self._is_late = False

    def serve(self) -> None:
        """Serve the client until the connection ends."""
        try:
            if self._host.tls is None or self._is_secured(self._host.tls):
                self._serve()
        finally:
            self._parser.close()

    def _is_secured(self, tls: ssl.SSLContext) -> bool:
        """Begin to speak TLS; return whether the client does."""
        self.sock = tls.wrap_socket(
            self.sock, server_side=True, do_handshake_on_connect=False, suppress_ragged_eofs=True
        )
        self.until = time.monotonic() + self._host.limits.head
        self._host.connections.is_idle(self, fresh=True)
        self._reads = True
        try:
            self.sock.do_handshake()
        except OSError:
            return False  # it speaks something else, or has left
        finally:
            self._reads = False
            self._host.connections.is_busy(self)
        return True

    def _serve(self) -> None:
        parser, host = self._parser, self._host
        while True:
            request = self._next()
            if request is None:
                return
            self.owes_head_since = math.inf
            self.until = None
            try:
                if not self._complete(request):
                    return
                host.answer(self, request)
                if not request.is_complete:
                    self._linger()
            finally:
                request.body.close()
            if request.should_close():
                return
            parser.requests.popleft()
            if parser.rest:
                parser.stay()

    def _next(self) -> Request | None:
        """Return the next request once its head has arrived; None at the end."""
        parser = self._parser
        requests = parser.requests
        if not requests and parser.is_between and parser.refusal is None:
            data = self._first()
            if not data:
                return None
            parser.feed(data)
        if not requests:
            self.owes_head_since = min(self.owes_head_since, time.monotonic())
            self.until = time.monotonic() + self._host.limits.head
        while not requests:
            if parser.refusal is None:
                data = self._receive()
                if data:
                    parser.feed(data)
                    continue
                parser.end(_TOO_SLOW() if self._is_late else None)
            if parser.refusal is not None:
                self._refuse(parser.refusal)
            return None
        return requests[0]

    def _first(self) -> bytes:
        """Wait for the first bytes of a request; return nothing at the end."""
        host, is_first = self._host, self.owes_head_since < math.inf
        limits = host.limits
        patience = limits.idle or limits.head if is_first else limits.idle
        self.until = time.monotonic() + patience
        host.connections.is_idle(self, fresh=is_first)
        data = self._receive()
        host.connections.is_busy(self)
        if is_first and data and host.has_proxy:
            try:
                found, data = host.begun(data, self.peer, self._receive)
                data = data or self._receive()
            except Refusal as refusal:
                self._refuse(refusal)
                return b""
            self._parser.own |= found
        return data

    def _receive(self) -> bytes:
        """Return what has arrived; nothing at the end."""
        self._reads = True
        try:
            return self.sock.recv(_RECEIVE)  # type: ignore[no-any-return]
        except (ConnectionError, TimeoutError, ssl.SSLError):
            return b""
        finally:
            self._reads = False

    def _complete(self, request: Request) -> bool:
        """Wait for the body of a request; return whether it is one to be answered."""
        if request.refusal is None and not request.is_complete:
            request.refusal = self._host.refuses_work()
            if request.waits_to_be_asked:
                # Unless it is asked for, where the next request begins is not known.
                request.must_close = True
            elif request.refusal is None:
                if request.expects_continue:
                    self.send(_CONTINUE)
                self._await_body(request)
        if request.refusal is not None:
            self._refuse(request.refusal)
            return False
        if request.chunked:
            # It is no more: the application gets a body of which the length is known.
            del request.environ["HTTP_TRANSFER_ENCODING"]
            request.environ["CONTENT_LENGTH"] = str(request.body.length)
        return True

    def body(self, request: Request) -> Any:
        """Return what the application reads the body from: ``wsgi.input``."""
        if request.waits_to_be_asked:
            return ExpectedBody(partial(self._ask_for_body, request))
        return request.body.open()

    def _ask_for_body(self, request: Request) -> Any:
        """Have a client send the body that it has announced with "Expect: 100-continue".

        Raises:
            BodyCutOff: it does not, or not all of it.
        """
        self.send(_CONTINUE)
        if not request.is_complete:
            self._await_body(request)
            if request.refusal is not None:
                raise BodyCutOff(str(request.refusal))
            request.must_close = False
        return request.body.open()

    def _await_body(self, request: Request) -> None:
        """Receive until the body is complete, or refused."""
        self.owes_body_since = began = time.monotonic()
        while request.refusal is None and not request.is_complete:
            self.until = self._host.limits.until(began, request.body.length)
            data = self._receive()
            if data:
                self._parser.feed(data)
            else:
                self._parser.end(_TOO_SLOW() if self._is_late else None)
        self.owes_body_since = math.inf
        self.until = None

    def take_rest(self) -> bytes:
        """Return what came behind a request whose application leaves HTTP, and forget it."""
        rest, self._parser.rest = self._parser.rest, b""
        return rest

    def _refuse(self, refusal: Refusal) -> None:
        """Answer a request that the application does not get, and let the client read it."""
        self._host.refused(self, refusal)
        with contextlib.suppress(OSError):  # it has left
            self.send(refusal.response())
            self._linger()

    def _linger(self) -> None:
        """Read what is still sent, for a while.

        To close with bytes unread is to reset the connection, and a client that is still
        sending would not see the answer.
        """
        self.until = time.monotonic() + _LINGER
        with contextlib.suppress(OSError):
            if not isinstance(self.sock, ssl.SSLSocket):
                self.sock.shutdown(socket.SHUT_WR)
            while self._receive():
                pass

    # From outside; these never wait

    def cut(self) -> None:
        """End the connection: the client took too long."""
        self.until = None
        self._is_late = True
        # One that is read from is still told.
        shut_down(self.sock, socket.SHUT_RD if self._reads else socket.SHUT_RDWR)

    def close_idle(self) -> None:
        """End the connection, unless a request is on it: what has arrived is still read."""
        if not isinstance(self.sock, ssl.SSLSocket):
            shut_down(self.sock, socket.SHUT_RD)
        elif not is_readable(self.sock.fileno()):
            # An end in the middle of TLS would be an error to it, of which it tells the client.
            gevent.get_hub().loop.run_callback(self._stop_waiting)

    def _stop_waiting(self) -> None:
        """End the wait for a request; runs in the hub, when a request may have come."""
        if self._reads and self._parser.is_between:
            gone = ConnectionResetError(errno.ECONNRESET, "closed because it was idle")
            self._greenlet.throw(gone)

    def body_rate(self, now: float) -> float:
        """Return how many bytes of its body come in a second.

        Args:
            now: the time, on the monotonic clock.
        """
        return self._parser.body_length() / (now - self.owes_body_since)

    def __repr__(self) -> str:
        return f"<Connection of {self.peer}, open for {time.monotonic() - self.since:.0f} s>"
