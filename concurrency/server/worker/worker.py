"""``GeventWorker``: gunicorn's, with a parser in C, which drains at once and waits for nobody.

Owns when connections are accepted, and in which order everything ends. How it speaks HTTP
is the matter of ``http1``; what happens to requests is the gate's, see ``gate.py``.
"""

from __future__ import annotations

import concurrency.patch  # noqa: F401 - the arbiter imports this before there is any worker

# isort: split

import os
import sys
import time
from contextlib import suppress
from functools import partial
from typing import Any

from gevent.event import Event
from gevent.hub import get_hub
from gevent.pool import Pool
from gunicorn.workers import ggevent

from concurrency.server.configuration import refuse_http2
from concurrency.server.option_sources import current
from concurrency.server.worker.http1.body import Store
from concurrency.server.worker.http1.connections import Connections
from concurrency.server.worker.http1.limits import Limits
from concurrency.server.worker.http1.protocol import Protocol
from concurrency.server.worker.http1.rules import unsupported
from concurrency.server.worker.preparing import finish, prepare
from concurrency.server.worker.sockets import Server
from concurrency.server.worker.state import State
from concurrency.server.worker.unsent import OVER, Unsent

__all__ = ["GeventWorker"]

_READ = 1

# How often connections are looked at whose clients take too long: this many times within the
# shortest of their limits, and at least every second.
_LOOKS = 4

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
        connections: those of its clients.
        concurrency: what this package keeps of it.
    """

    head_limit = 10.0
    stall_limit = 30.0
    rate_over = OVER
    shed_after: float | None = 1.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.concurrency = State(shed_after=self.shed_after, speaks_http=True)
        self._change = Event()
        # One more than there may be: only a client that is accepted can take another's place.
        self._greenlets = Pool(self.worker_connections + 1)
        self.connections = Connections(self.worker_connections, self._change.set)

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Refuse what this worker does not serve; gunicorn calls it before any worker starts."""
        refuse_http2(cfg)
        if what := unsupported(cfg):
            sys.exit(
                f"gunicorn: {what} is not supported by concurrency.server.GeventWorker: remove "
                f'it, or set worker_class = "gevent"'
            )

    # From its begin to its end

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Begin to drain; a signal handler."""
        self.concurrency.drain.begin()
        self.alive = False

    def run(self) -> None:
        """Serve until told to end; then end in order."""
        prepare(self)
        options, unsent = current(), Unsent()
        unsent.limit = options.max_unsent
        self.concurrency.unsent = unsent
        # gunicorn looks up twenty settings for each request, and each is a search.
        self.cfg.__dict__.update((name, one.get()) for name, one in self.cfg.settings.items())
        limits = Limits(
            head=self.head_limit,
            stall=self.stall_limit,
            idle=float(self.cfg.keepalive),
            rate=options.min_rate,
            over=self.rate_over,
        )
        store = Store(folder=options.spool_dir or None, most=options.max_spooled)
        protocol = Protocol(self, limits, unsent, store=store, body=options.max_body_size or None)
        servers = [self._serve(listener, protocol) for listener in self.sockets]
        # The hub sleeps in the kernel: without this a signal waits for the next heartbeat.
        watcher = get_hub().loop.io(self.PIPE[0], _READ)
        watcher.start(self._signalled)
        while self.alive:
            has_room = self.connections.sweep()
            self._wait(min(1.0, limits.shortest / _LOOKS) if has_room else _LOOK)
        self._end(servers)
        watcher.close()

    def end_soon(self) -> None:
        """Begin to end, for another reason than a signal."""
        self.alive = False
        self._change.set()

    def _signalled(self) -> None:
        with suppress(BlockingIOError):
            os.read(self.PIPE[0], 4096)
        self._change.set()

    def _wait(self, seconds: float) -> None:
        """Tell the arbiter that the hub turns, and wait for a change."""
        self.notify()
        self._change.clear()
        self._change.wait(seconds)

    def _serve(self, listener: Any, protocol: Protocol) -> Server:
        listener.setblocking(True)
        handle = partial(protocol.handle, listener.getsockname())
        server = Server(listener, handle=handle, spawn=self._greenlets)
        if self.cfg.workers > 1:
            server.max_accept = 1
        server.start()
        return server

    def _end(self, servers: list[Server]) -> None:
        """End in order: delay, listeners, idle connections, requests, spawned greenlets."""
        drain = self.concurrency.drain
        if drain.begun is not None:
            open_until = drain.begun + drain.delay
            while (left := open_until - time.monotonic()) > 0:
                self._wait(min(left, 1.0))
        drain.begin()
        for server in servers:
            # Who has connected already would be turned away with the listener.
            server.take_backlog(self.cfg.backlog)
            server.close()
        while len(self._greenlets) and drain.left(self.cfg.graceful_timeout) > 0:
            self.connections.close_idle()
            self.connections.sweep()
            self._wait(_LOOK)
        finish(self, self._greenlets)
        seconds = time.monotonic() - (drain.begun or 0.0)
        self.log.info("Worker has ended what it had begun in %.2f s (pid: %s)", seconds, self.pid)
