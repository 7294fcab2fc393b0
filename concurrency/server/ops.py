"""The ops process: probes and metrics of one service, on a port of their own.

A process of its own and native threads, so that no worker, however busy, keeps it from
answering; not patched. It is started by the arbiter (`concurrency.server.keeper`), which
gives it the listening socket and one end of a socket pair, and it ends when the other
end closes. Signals that end a whole group do not end it: it says that the service drains.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from concurrency.server.board import FAILED, Board
from concurrency.server.health import Finding, Health
from concurrency.server.options import ServeOptions

__all__ = ["main"]

logger = logging.getLogger("concurrency.server")

_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1)
_LOOK = 0.5  # seconds between two looks for a change of state
_LAST_WORDS = 10.0  # seconds for webhooks when the start has failed
_LAST_ANSWERS = 1.0  # seconds for answers when it ends
_THREADS = 32  # answers at the same time; a client beyond them is told 503
_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n"
    b"Cache-Control: no-store\r\nConnection: close\r\n\r\n"
)

Page = Callable[[str], tuple[int, str, bytes]]


class _Server(ThreadingHTTPServer):
    """Serves a socket that is listening already."""

    daemon_threads = True

    def __init__(self, listener: socket.socket, pages: dict[str, Page], log: bool) -> None:
        super().__init__(("", 0), _Handler, bind_and_activate=False)
        self.socket.close()
        # Two processes may share it for a moment: who comes late must not wait.
        listener.setblocking(False)
        self.socket = listener
        self.pages = pages
        self.log = log
        self._free = threading.BoundedSemaphore(_THREADS)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            with contextlib.suppress(OSError):  # the client may have gone
                request.send(_BUSY)  # never blocks: nothing has been sent to it before
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def end(self) -> None:
        """Take nobody in any more, and let the answers that are under way be sent."""
        self.shutdown()
        limit = time.monotonic() + _LAST_ANSWERS
        for _ in range(_THREADS):
            if not self._free.acquire(timeout=max(0.0, limit - time.monotonic())):
                return

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # who asks may go away
            logger.exception("the ops port could not answer")


class _Handler(BaseHTTPRequestHandler):
    timeout = 2.0  # seconds without a byte
    server_version, sys_version = "concurrency", ""
    server: _Server

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        page = self.server.pages.get(path) or self.server.pages.get(path.removesuffix("/"))
        status, kind, body = self._answer(page) if page else _json(404, {"status": "not found"})
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - the base class finds it by this name

    def _answer(self, page: Page) -> tuple[int, str, bytes]:
        """Return what a page says; 500 where it fails, so that a client always gets an answer."""
        try:
            return page(self.headers.get("Accept", ""))
        except Exception:
            logger.exception("%s could not be answered", self.path)
            return _json(500, {"status": "error"})

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
        if self.server.log:
            logger.info(format, *args)


def _json(status: int, content: dict[str, Any]) -> tuple[int, str, bytes]:
    return status, "application/json", json.dumps(content).encode() + b"\n"


def _probe(ask: Callable[[], Finding]) -> Page:
    def page(accept: str) -> tuple[int, str, bytes]:
        finding = ask()
        return _json(200 if finding.ok else 503, finding.as_json())

    return page


def main() -> None:
    """Serve until the arbiter has gone. Called with two descriptors: its channel, the port."""
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    channel = socket.socket(fileno=int(sys.argv[1]))
    channel.setblocking(True)  # gevent has made it
    listener = socket.socket(fileno=int(sys.argv[2]))
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level="INFO")
    plan = json.loads(channel.makefile("rb").readline() or b"null")
    if plan is not None:
        _Process(plan, channel, listener).run()
    _exit(0)


def _exit(code: int) -> None:
    # Not by returning: a thread that examines a frozen database would be waited for.
    logging.shutdown()
    os._exit(code)


class _Process:
    """What this process serves, and when that begins and ends."""

    def __init__(
        self, plan: dict[str, Any], channel: socket.socket, listener: socket.socket
    ) -> None:
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in plan["options"].items()
        }
        options = ServeOptions(**values)
        board = Board(Path(plan["board"]))
        self._is_successor, self._announces = plan["successor"], plan["announce"]
        self._channel = channel
        self._listener = listener
        self._health = Health(board, options, _examine(plan["application"], self._loaded))
        pages = _pages(options, self._health, board, plan["metrics"])
        self._server = _Server(listener, pages, options.log_probes)
        self._serving = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), daemon=True
        )
        self._watch = _Watch(options, board, self._health, self._announces)

    def run(self) -> None:
        """Serve until the other end of the channel is closed."""
        if not self._is_successor:
            self._serving.start()
        if self._announces:
            self._watch.start()
        self._health.warm_up()
        self._channel.recv(1)
        if self._serving.ident is not None:
            self._server.end()
        self._listener.close()
        self._health.close()
        self._watch.end()

    def _loaded(self, good: bool) -> None:
        """Take over from a predecessor, if there is one and the application is good."""
        if self._is_successor:
            if not good:
                _exit(1)
            self._serving.start()
        if not self._announces:
            self._watch.start()
        self._channel.send(b"r")


def _examine(
    application: str | None, loaded: Callable[[bool], None]
) -> Callable[[], dict[str, Any]]:
    """Return the examination; Django is imported when it is first asked for."""
    examination: list[Callable[[], dict[str, Any]]] = []

    def examine() -> dict[str, Any]:
        if not examination:
            from concurrency.server.examination import Examination

            examination.append(Examination(application, loaded))
        return examination[0]()

    return examine


def _pages(
    options: ServeOptions, health: Health, board: Board, metrics: str | None
) -> dict[str, Page]:
    pages = {
        options.startup_path: _probe(health.startup),
        options.alive_path: _probe(health.alive),
        options.ready_path: _probe(health.ready),
    }
    if metrics is not None:
        from concurrency.server.exposition import Exposition

        pages[options.metrics_path] = Exposition(board, metrics)
    return {path.rstrip("/") or "/": page for path, page in pages.items()}


class _Watch:
    """Looks for changes of state, and lets webhooks tell them."""

    def __init__(self, options: ServeOptions, board: Board, health: Health, announce: bool) -> None:
        self._board = board
        self._probes = {
            "startup": health.startup,
            "liveness": health.alive,
            "readiness": health.ready,
        }
        # A successor takes what is so now as told; at the first start nothing is good yet.
        self._told = {kind: None if not announce else kind == "liveness" for kind in self._probes}
        self._webhooks: Any = None
        if options.webhook_url:
            from concurrency.server.webhooks import Webhooks

            self._webhooks = Webhooks(options)

    def start(self) -> None:
        """Look from now on, if there is somebody to tell."""
        if self._webhooks is not None:
            threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            self._look()
            time.sleep(_LOOK)

    def _look(self) -> None:
        for kind, ask in self._probes.items():
            finding, told = ask(), self._told[kind]
            self._told[kind] = finding.ok
            if told is not None and told != finding.ok:
                info = "; ".join(f"{name}: {finding.parts[name]}" for name in finding.failed)
                self._webhooks.tell(kind, finding.ok, info or "ok")

    def end(self) -> None:
        """Tell why the start failed, if it did, before the process ends."""
        if self._webhooks is None:
            return
        service = self._board.service()
        if service.phase == FAILED:
            self._webhooks.tell("startup", False, service.note)
        self._webhooks.flush(_LAST_WORDS)


if __name__ == "__main__":
    main()
