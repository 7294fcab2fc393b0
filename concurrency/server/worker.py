"""``GeventWorker``: gunicorn's, which drains at once, and waits for nobody for ever.

Owns connections: when they are accepted, how long their clients may be silent, and in
which order they end. What happens to requests is the gate's, see ``gate.py``.
"""

from __future__ import annotations

import concurrency.patch  # noqa: F401 - the arbiter imports this before there is any worker

# isort: split

import errno
import os
import socket
import ssl
import time
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import datetime
from functools import partial
from typing import Any

import gevent
from gevent.event import Event
from gevent.hub import get_hub
from gevent.pool import Pool
from gevent.socket import wait_read
from gunicorn.http import wsgi
from gunicorn.http.errors import ParseException
from gunicorn.sock import ssl_context
from gunicorn.workers import ggevent

from concurrency._text import printable
from concurrency.server.awaited import Awaited
from concurrency.server.configuration import refuse_http2
from concurrency.server.drain import Drain
from concurrency.server.preparing import finish, prepare
from concurrency.server.response import Response
from concurrency.server.sockets import Address, Server, Unreader
from concurrency.server.sources import current
from concurrency.server.unsent import OVER, Unsent

__all__ = ["GeventWorker"]

_READ = 1

_NOTHING = nullcontext()

# How often the end looks at what is left, in seconds.
_LOOK = 0.05


class GeventWorker(ggevent.GeventWorker):  # type: ignore[misc]
    """The worker class ``concurrency.server.GeventWorker``.

    Attributes:
        head_limit: seconds in which the head of a request has to arrive, from its first
            byte on.
        stall_limit: seconds for which a client may neither send any of a body nor take any
            of an answer.
        rate_over: seconds over which the rate of a client is averaged.
        shed_after: what ``CONCURRENCY["SHED_AFTER"]`` is where it is None.
        unsent: the bytes of answers that wait for slow clients.
    """

    head_limit = 10.0
    stall_limit = 30.0
    rate_over = OVER
    shed_after: float | None = 1.0
    unsent: Unsent

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.drain = Drain()
        self._change = Event()
        self.awaited = Awaited()
        # One more than there may be: for whom room is made.
        self._connections = Pool(self.worker_connections + 1)

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Refuse what this worker does not serve; gunicorn calls it before any worker starts."""
        refuse_http2(cfg)

    # From its begin to its end

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Begin to drain; a signal handler."""
        self.drain.begin()
        self.alive = False

    def run(self) -> None:
        """Serve until told to end; then end in order."""
        prepare(self)
        given = current()
        self.unsent = Unsent(limit=given.max_unsent, min_rate=given.min_rate, over=self.rate_over)
        # gunicorn looks up twenty settings for each request, and each is a search.
        self.cfg.__dict__.update((name, one.get()) for name, one in self.cfg.settings.items())
        servers = [self._serve(listener) for listener in self.sockets]
        # The hub sleeps in the kernel: without this a signal waits for the next heartbeat.
        watcher = get_hub().loop.io(self.PIPE[0], _READ)
        watcher.start(self._signalled)
        while self.alive:
            self._wait(1.0 if self._has_room() else _LOOK)
        self._end(servers)
        watcher.close()

    def _signalled(self) -> None:
        with suppress(BlockingIOError):
            os.read(self.PIPE[0], 4096)
        self._change.set()

    def _wait(self, seconds: float) -> None:
        """Tell the arbiter that the hub turns, and wait for a change."""
        self.notify()
        self._change.clear()
        self._change.wait(seconds)

    def _has_room(self) -> bool:
        """Return whether there are not too many connections, or one ends now."""
        # With the oldest head nothing is lost, with an idle connection hardly anything.
        return (
            not self._connections.full()
            or self.awaited.end_oldest_head()
            or self.drain.close_longest_idle()
            or self.awaited.end_slowest_body()
        )

    def _serve(self, listener: Any) -> Server:
        listener.setblocking(True)
        tls = {"ssl_context": ssl_context(self.cfg)} if self.cfg.is_ssl else {}
        server = Server(
            listener,
            handle=partial(self.handle, Address(listener.getsockname())),
            spawn=self._connections,
            **tls,
        )
        server.drain, server.awaited = self.drain, self.awaited
        server.handshake_limit = self.head_limit
        if self.cfg.workers > 1:
            server.max_accept = 1
        server.start()
        return server

    def _end(self, servers: list[Server]) -> None:
        """End in order: delay, listeners, idle connections, requests, spawned greenlets."""
        if self.drain.begun is not None:
            open_until = self.drain.begun + self.drain.delay
            while (left := open_until - time.monotonic()) > 0:
                self._wait(min(left, 1.0))
        self.drain.begin()
        for server in servers:
            # Who has connected already would be turned away with the listener.
            server.take_backlog(self.cfg.backlog)
            server.close()
        while len(self._connections) and self.drain.left(self.cfg.graceful_timeout) > 0:
            self.drain.close_idle()
            self._wait(_LOOK)
        finish(self, self._connections)
        seconds = time.monotonic() - (self.drain.begun or 0.0)
        self.log.info("Worker has ended what it had begun in %.2f s (pid: %s)", seconds, self.pid)

    # Connections

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """Serve one connection."""
        self.awaited.head(client)
        if not self._has_room():
            self._change.set()  # to look again in a moment
        try:
            begun = self._has_begun(client)
        except OSError:
            begun = False  # it left again
        try:
            if begun:
                self._limit_first_head()
                super().handle(listener, client, addr)
            else:
                client.close()
        finally:
            self._has_head(client)
            self.drain.is_busy(client)
        if self.drain.begun is not None:
            self._change.set()

    def _has_begun(self, client: Any) -> bool:
        """Wait for the first byte of a client; return whether there is one."""
        limit = self.cfg.keepalive or self.head_limit
        self.drain.is_idle(client, fresh=True)
        try:
            if isinstance(client, ssl.SSLSocket):
                wait_read(client.fileno(), timeout=limit)
                return True
            client.settimeout(limit)
            return bool(client.recv(1, socket.MSG_PEEK))
        except TimeoutError:
            return False
        finally:
            self.drain.is_busy(client)

    def _limit_first_head(self) -> None:
        """Limit the head of a connection's first request; the `Unreader` does it for the others."""
        slow = ConnectionResetError(errno.ECONNRESET, "the head of a request came too slowly")
        current: Any = gevent.getcurrent()
        current.head_limit = gevent.Timeout.start_new(self.head_limit, slow)

    def _has_head(self, client: Any) -> None:
        self.awaited.has_head(client)
        limit = getattr(gevent.getcurrent(), "head_limit", None)
        if limit is not None:
            limit.close()

    def timeout_ctx(self) -> AbstractContextManager[None]:
        """Limit nothing: gunicorn would start a timer for each request."""
        return _NOTHING

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> None:
        """Answer one request on HTTP/1, and wait for the next."""
        self._has_head(sock)
        sock.settimeout(self.stall_limit)
        unreader = req.unreader
        unreader.__class__ = Unreader
        unreader.begin(req.force_close, self.awaited, self.unsent)
        try:
            self._answer(listener_name, req, sock, addr)
        except gevent.GreenletExit:
            raise StopIteration from None
        self._await_next(unreader, sock)

    def _answer(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> None:
        started = datetime.now()  # gunicorn's access log wants the difference of two
        environ: dict[str, Any] = {}
        response = None
        try:
            self.cfg.pre_request(self, req)
            response, environ = wsgi.create(
                req, sock, addr, listener_name, self.cfg, Response, (self.unsent,)
            )
            environ["wsgi.multithread"] = True
            self._count(response)
            in_chunks = "HTTP_TRANSFER_ENCODING" in environ
            chunks = self.wsgi(environ, response.start_response)
            try:
                response.write_all(chunks)
            finally:
                self.log.access(response, req, environ, datetime.now() - started)
                if hasattr(chunks, "close"):
                    chunks.close()
            if response.should_close() or (in_chunks and not self._ends(req)):
                raise StopIteration
        except (StopIteration, OSError):
            raise
        except (Exception, SystemExit):
            if response is None or not response.headers_sent:
                raise
            # What was sent cannot be taken back; a client sees that the answer is cut off.
            self.log.exception("Error handling request %s", printable(req.uri))
            raise StopIteration from None
        finally:
            self.cfg.post_request(self, req, environ, response)

    def _count(self, response: Response) -> None:
        self.nr += 1
        if self.nr >= self.max_requests and self.alive:
            self.log.info("Autorestarting worker after current request.")
            self.alive = False
            self._change.set()
        if not self.alive or not self.cfg.keepalive:
            response.force_close()

    def _ends(self, req: Any) -> bool:
        """Return whether a body in chunks has an end; who knows where the next request begins?"""
        req.unreader.head_until = time.monotonic() + self.head_limit
        try:
            while req.body.read(8192):
                pass
        except (ParseException, OSError):
            return False
        return not req.should_close()

    def _await_next(self, unreader: Any, sock: Any) -> None:
        """Wait until the client sends something; end the connection if it does not."""
        if not unreader.buf.getbuffer().nbytes:
            unreader.unread(self._first_of_next(sock))
        unreader.head_until = time.monotonic() + self.head_limit

    def _first_of_next(self, sock: Any) -> bytes:
        sock.settimeout(self.cfg.keepalive)
        self.drain.is_idle(sock)
        self._has_room()
        try:
            data: bytes = sock.recv(8192)
        except TimeoutError:
            data = b""
        finally:
            self.drain.is_busy(sock)
        if not data:
            raise StopIteration
        return data
