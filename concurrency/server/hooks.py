"""Hooks for ``gunicorn.conf.py``::

from concurrency.server.hooks import post_worker_init, worker_exit
"""

from __future__ import annotations

import signal
import time
from types import FrameType
from typing import Any

import gevent

from concurrency.tasks import outstanding

# Left of the graceful timeout for ending what did not end by itself, in seconds: when
# it has passed, gunicorn's arbiter kills the worker.
_TO_CANCEL = 0.5

_told_to_end: float | None = None


def post_worker_init(worker: Any) -> None:
    """Load what the first request would otherwise wait for, and note the time of SIGTERM."""
    from django.urls import get_resolver

    # Reading the patterns is what imports the views.
    _ = get_resolver().url_patterns
    _note_when_told_to_end()


def _note_when_told_to_end() -> None:
    handle = signal.getsignal(signal.SIGTERM)

    def note(number: int, frame: FrameType | None) -> None:
        global _told_to_end
        _told_to_end = time.monotonic()
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
