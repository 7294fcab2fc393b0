"""Applications behind a gate, and requests that go through it."""

from __future__ import annotations

import gevent
from gevent.event import Event

from concurrency.server.worker.drain import Drain
from concurrency.server.worker.gate import Gate


class Asking:
    """Requests through a gate, each in a greenlet of its own."""

    def __init__(self, application, **options) -> None:
        self.drain = Drain()
        self.gate = Gate(application, self.drain, **options)
        self.statuses: list[str] = []
        self.headers: list[dict[str, str]] = []

    def ask(self, path: str = "/") -> str:
        """Send one request, read its answer, and return its status."""
        seen = []

        def start_response(status, headers, exc_info=None):
            seen.append(status)
            self.headers.append(dict(headers))

        body = self.gate({"REQUEST_METHOD": "GET", "PATH_INFO": path}, start_response)
        b"".join(body)
        if hasattr(body, "close"):
            body.close()
        self.statuses.append(seen[0])
        return seen[0]

    def spawn(self, count: int, path: str = "/") -> list[gevent.Greenlet]:
        return [gevent.spawn(self.ask, path) for _ in range(count)]


def waiting_for(event: Event, order: list[str] | None = None):
    """Return an application that waits for an event."""

    def application(environ, start_response):
        if order is not None:
            order.append(environ["PATH_INFO"])
        event.wait()
        start_response("200 OK", [])
        return [b"done"]

    return application


def taking(clock, seconds: float):
    """Return an application whose work takes this long."""

    def application(environ, start_response):
        clock.seconds += seconds
        start_response("200 OK", [])
        return [b"done"]

    return application
