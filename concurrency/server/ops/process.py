"""The ops process: probes and metrics of one service, on a port of their own.

It is an unpatched process with native threads, so that no busy worker can keep it from
responding. The arbiter starts it (`concurrency.server.arbiter.ops_supervisor`) with the
listening socket and one end of a socket pair; it ends when the other end closes. Signals to
the whole process group do not end it, so that it can report that the service drains.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from concurrency.observe.metrics import is_installed
from concurrency.server import folder
from concurrency.server.board import FAILED, Board
from concurrency.server.extras import remedy
from concurrency.server.ops.health import Finding, Health
from concurrency.server.ops.port import Page, Server, as_json
from concurrency.server.options import ServeOptions

__all__ = ["main"]

logger = logging.getLogger("concurrency.server")

_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1)
_LOOK = 0.5  # seconds between two checks for a change of state
_LAST_WORDS = 10.0  # seconds for webhooks when the start has failed


def _no_metrics(accept: str) -> tuple[int, str, bytes]:
    """Return the page that explains why there are no metrics."""
    hint = f"prometheus-client is not installed: {remedy('metrics')}"
    if is_installed():
        hint = "the service's folder could not be made: the log says why"
    return as_json(404, {"status": "no metrics", "hint": hint})


def _probe(ask: Callable[[], Finding]) -> Page:
    def page(accept: str) -> tuple[int, str, bytes]:
        finding = ask()
        return as_json(200 if finding.ok else 503, finding.as_json())

    return page


def main() -> None:
    """Serve until the arbiter has ended. Called with two descriptors: its channel, the port."""
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
        board = Board(plan["board"])
        self._folder = folder.own()
        self._is_successor, self._announces = plan["successor"], plan["announce"]
        self._channel = channel
        self._listener = listener
        self._health = Health(board, options, _examine(plan["application"], self._loaded))
        pages = _pages(options, self._health, board, plan["metrics"])
        self._server = Server(listener, pages, options.ops_hosts, options.log_probes)
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
        if self._folder is not None:
            folder.remove_left(self._folder)

    def _loaded(self, good: bool) -> None:
        """Take over from a predecessor, if there is one and the application is good."""
        if self._is_successor:
            if not good:
                _exit(1)
            self._serving.start()
        if not self._announces:
            self._watch.start()
        with suppress(OSError):  # the arbiter has gone, and this process is about to end
            self._channel.send(b"r")


def _examine(
    application: str | None, loaded: Callable[[bool], None]
) -> Callable[[], dict[str, Any]]:
    """Return the examination; Django is imported when it is first asked for."""
    examination: list[Callable[[], dict[str, Any]]] = []

    def examine() -> dict[str, Any]:
        if not examination:
            from concurrency.server.ops.readiness import Examination

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
        from concurrency.server.ops.metrics_page import Exposition

        pages[options.metrics_path] = Exposition(board, metrics)
    elif not options.no_metrics:
        pages[options.metrics_path] = _no_metrics
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
            from concurrency.server.ops.webhooks import Webhooks

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
        # In reverse, so that a worker that is loaded meanwhile cannot make the service ready
        # before it has started.
        findings = {kind: ask() for kind, ask in reversed(self._probes.items())}
        for kind, told in list(self._told.items()):
            finding = findings[kind]
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
