"""Hooks for ``gunicorn.conf.py``::

    from concurrency.server.hooks import *

Each is short and calls what it is about. A configuration that takes only some of them
works as well, without what the others do.
"""

from __future__ import annotations

import signal
import time
from types import FrameType
from typing import Any

import gevent

from concurrency.server import folder, reporting
from concurrency.server.board import STARTED, Board
from concurrency.tasks import outstanding

__all__ = [
    "child_exit",
    "nworkers_changed",
    "on_exit",
    "on_starting",
    "post_fork",
    "post_request",
    "post_worker_init",
    "pre_fork",
    "pre_request",
    "when_ready",
    "worker_exit",
]

# Left of the graceful timeout for ending what did not end by itself, in seconds: when
# it has passed, gunicorn's arbiter kills the worker.
_TO_CANCEL = 0.5

_told_to_end: float | None = None
_board: Board | None = None


def on_starting(server: Any) -> None:
    """Make the service's folder and board; called by the arbiter before anything else."""
    global _board
    _board = Board(folder.make() / "board", create=True)
    _board.say(wanted=server.num_workers)


def when_ready(server: Any) -> None:
    """Say that the port is open."""
    if _board is not None:
        _board.say(phase=STARTED, note="")


def nworkers_changed(server: Any, new_value: int, old_value: int | None) -> None:
    """Note how many workers there should be."""
    if _board is not None:
        _board.say(wanted=new_value)


def pre_fork(server: Any, worker: Any) -> None:
    """Give the worker that is about to be forked its row of the board."""
    if _board is not None:
        worker.row = _board.row()
        worker.row.claim(-1)


def post_fork(server: Any, worker: Any) -> None:
    """Begin to report as a worker."""
    if _board is not None:
        worker.row.claim(worker.pid)
        reporting.mine = reporting.Report(worker.row)


def child_exit(server: Any, worker: Any) -> None:
    """Free the row of a worker that has ended."""
    if _board is not None:
        worker.row.release()


def on_exit(server: Any) -> None:
    """Remove the folder when the arbiter ends."""
    folder.remove()


def pre_request(worker: Any, req: Any) -> None:
    """Count a request that begins."""
    if reporting.mine is not None:
        reporting.mine.began()


def post_request(worker: Any, req: Any, environ: dict[str, Any], resp: Any) -> None:
    """Count a request that has ended, whatever became of it."""
    if reporting.mine is not None:
        reporting.mine.ended()


def post_worker_init(worker: Any) -> None:
    """Load what the first request would otherwise wait for, and note the time of SIGTERM."""
    from django.urls import get_resolver

    # Reading the patterns is what imports the views.
    _ = get_resolver().url_patterns
    _note_when_told_to_end()
    if reporting.mine is not None:
        reporting.mine.start()


def _note_when_told_to_end() -> None:
    handle = signal.getsignal(signal.SIGTERM)

    def note(number: int, frame: FrameType | None) -> None:
        global _told_to_end
        _told_to_end = time.monotonic()
        if reporting.mine is not None:
            reporting.mine.row.write(draining=True)
        if callable(handle):
            handle(number, frame)

    signal.signal(signal.SIGTERM, note)


def worker_exit(server: Any, worker: Any) -> None:
    """Wait for greenlets of ``spawn`` that outlived their requests, then end them.

    gunicorn has waited for the requests; what they left behind gets what remains of
    the graceful timeout.
    """
    left = outstanding()
    if not left:
        return
    seconds = worker.cfg.graceful_timeout - _TO_CANCEL
    if _told_to_end is not None:
        seconds -= time.monotonic() - _told_to_end
    gevent.wait(left, timeout=max(0.0, seconds))
    left = outstanding()
    if left:
        worker.log.warning("worker ends, %d spawned greenlets are cancelled: %s", len(left), left)
        gevent.killall(left, timeout=_TO_CANCEL)
