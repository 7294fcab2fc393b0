"""The HTTP server of the ops port, with its limits on requests and their duration.

Serves pages with one native thread for each connection. Slow clients cannot keep others
out: the whole request has a time limit, and if all threads are busy the oldest connection
is closed. Does not depend on the content of the pages.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from typing import Any

from concurrency.text import printable

__all__ = ["Page", "Server", "as_json", "is_own_name"]

logger = logging.getLogger("concurrency.server")

_CONNECTIONS = 32  # at the same time
_MOST_BUSY = 256  # threads, with those whose connection was cut while they made a page
_HEAD_LIMIT = 2.0  # seconds from the connection to the end of the request's head
_LIMIT = 10.0  # seconds from the connection to the end of the response
_LAST_ANSWERS = 5.0  # seconds for responses in progress when the server ends
_LOOK = 0.1  # seconds between two checks of them

_HOST = re.compile(r"(\[[^]]*\]|[^:]*)(?::\d*)?")  # a Host header: name or address, port
_TURNED_AWAY = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n"
    b"Cache-Control: no-store\r\nConnection: close\r\n\r\n"
)

Page = Callable[[str], tuple[int, str, bytes]]


class _Connection:
    """One client: the time of its connection, and whether its request's head is complete."""

    __slots__ = ("has_asked", "since")

    def __init__(self) -> None:
        self.since = time.monotonic()
        self.has_asked = False

    @property
    def rank(self) -> tuple[bool, float]:
        """The sort key; the connection that is cut first sorts first."""
        return self.has_asked, self.since

    def is_late(self, now: float) -> bool:
        """Return whether it has exceeded its time limit."""
        return now - self.since > (_LIMIT if self.has_asked else _HEAD_LIMIT)


class Server(ThreadingHTTPServer):
    """Serves a socket that already listens.

    Args:
        listener: the socket.
        pages: by path, functions that return status, content type and body for an Accept
            header.
        hosts: accepted host names besides IP addresses, localhost and this machine's name.
        log: whether to log each request.
    """

    daemon_threads = True

    def __init__(
        self, listener: socket.socket, pages: dict[str, Page], hosts: Iterable[str], log: bool
    ) -> None:
        super().__init__(("", 0), _Handler, bind_and_activate=False)
        self.socket.close()
        # Two processes may share it for a moment: the one that comes late must not wait.
        listener.setblocking(False)
        self.socket = listener
        self.pages = pages
        self.hosts = frozenset(host.lower() for host in hosts)
        self.log = log
        self._connections: dict[socket.socket, _Connection] = {}
        self._busy = 0
        self._changed = threading.Condition()

    def asked(self, sock: socket.socket) -> None:
        """Take note that the head of a connection's request is complete."""
        with self._changed:
            if sock in self._connections:
                self._connections[sock].has_asked = True

    def service_actions(self) -> None:
        """Cut late connections; called between two polls of the listener."""
        now = time.monotonic()
        with self._changed:
            for sock in [sock for sock, one in self._connections.items() if one.is_late(now)]:
                self._cut(sock)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a client in a thread; if there are too many clients, cut the oldest.

        A connection without a complete head is cut first, so a flood of those does not
        affect responses in progress.
        """
        with self._changed:
            if self._busy >= _MOST_BUSY:
                with contextlib.suppress(OSError):  # the client may have gone
                    request.send(_TURNED_AWAY)  # never waits: nothing has been sent to it before
                self.shutdown_request(request)
                return
            if len(self._connections) >= _CONNECTIONS:
                self._cut(min(self._connections, key=lambda sock: self._connections[sock].rank))
            self._connections[request] = _Connection()
            self._busy += 1
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread could be started
            self._forget(request)
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a client; runs in its thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._forget(request)

    def _cut(self, sock: socket.socket) -> None:
        """End what a thread reads or writes; the thread closes the socket."""
        del self._connections[sock]
        with contextlib.suppress(OSError):  # the client has left, or the thread is done
            sock.shutdown(socket.SHUT_RDWR)

    def _forget(self, request: Any) -> None:
        with self._changed:
            self._connections.pop(request, None)
            self._busy -= 1
            self._changed.notify_all()

    def end(self) -> None:
        """Stop accepting, free the port, and send the responses in progress."""
        self.shutdown()
        self.socket.close()
        end = time.monotonic() + _LAST_ANSWERS
        with self._changed:
            while self._connections and time.monotonic() < end:
                self._changed.wait(_LOOK)
                self.service_actions()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log an error in a response, unless the client has disconnected."""
        if not isinstance(sys.exception(), ConnectionError):
            logger.exception("the ops port could not answer")


class _Handler(BaseHTTPRequestHandler):
    timeout = _LIMIT
    server_version, sys_version = "concurrency", ""
    server: Server

    def do_GET(self) -> None:
        self.server.asked(self.connection)
        status, kind, body = self._page()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - the base class finds it by this name

    def _page(self) -> tuple[int, str, bytes]:
        for host in self.headers.get_all("Host", []):
            if not is_own_name(host, self.server.hosts):
                hint = "add it to CONCURRENCY_OPS_HOSTS if this service has that name"
                return as_json(403, {"status": "unknown host", "host": host, "hint": hint})
        path = self.path.partition("?")[0]
        page = self.server.pages.get(path) or self.server.pages.get(path.removesuffix("/"))
        if page is None:
            return as_json(404, {"status": "not found"})
        try:
            return page(self.headers.get("Accept", ""))
        except Exception:
            logger.exception("%s could not be answered", printable(self.path))
            return as_json(500, {"status": "error"})

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
        if self.server.log:
            logger.info("%s", printable(format % args))


def as_json(status: int, content: dict[str, Any]) -> tuple[int, str, bytes]:
    """Return a page of JSON."""
    return status, "application/json", json.dumps(content).encode() + b"\n"


def is_own_name(host: str, names: Iterable[str]) -> bool:
    """Return whether a Host header names this machine and not a foreign domain.

    If an attacker points a domain at this address (DNS rebinding), a page of that domain
    could otherwise read the port through a browser, which sends the domain's name.

    Args:
        host: the header, with or without a port.
        names: more names that are accepted, in lower case.
    """
    found = _HOST.fullmatch(host.strip().lower())
    name = (found[1] if found else host).removesuffix(".")
    try:
        ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        own = socket.gethostname().lower()
        return name in {"", "localhost", own, own.partition(".")[0], *names}
    return True
