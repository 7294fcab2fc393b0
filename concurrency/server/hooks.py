"""Hooks for ``gunicorn.conf.py``::

    from concurrency.server.hooks import *

Each is short and calls what it is about. A configuration that takes only some of them
works as well, without what the others do.
"""

from __future__ import annotations

from typing import Any

from concurrency.server import folder, reporting
from concurrency.server.board import STARTED, Board
from concurrency.server.preparing import finish, prepare

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
    """Count a request that begins, and note that its client is not idle."""
    if reporting.mine is not None:
        reporting.mine.began()
    drain = getattr(worker, "drain", None)
    if drain is not None:
        drain.is_busy(getattr(req.unreader, "sock", None))


def post_request(worker: Any, req: Any, environ: dict[str, Any], resp: Any) -> None:
    """Count a request that has ended, and note that its client may send the next."""
    if reporting.mine is not None:
        reporting.mine.ended()
    drain, sock = getattr(worker, "drain", None), environ.get("gunicorn.socket")
    if drain is not None and sock is not None:
        drain.is_idle(sock)
        if drain.begun is not None:
            drain.close_idle()


def post_worker_init(worker: Any) -> None:
    """Prepare a worker that has loaded the application."""
    prepare(worker)
    if reporting.mine is not None:
        reporting.mine.start()


def worker_exit(server: Any, worker: Any) -> None:
    """Wait for greenlets of ``spawn`` that outlived their requests, then end them.

    gunicorn has waited for the requests; what they left behind gets what remains of
    the graceful timeout.
    """
    if hasattr(worker, "drain"):
        finish(worker)
