"""Hooks for ``gunicorn.conf.py``::

from concurrency.server.hooks import post_worker_init, worker_exit
"""

from __future__ import annotations

import logging
from typing import Any

import gevent

from concurrency.tasks import outstanding

logger = logging.getLogger("concurrency.server")


def post_worker_init(worker: Any) -> None:
    """Load what the first request would otherwise wait for.

    Django imports urlconf and views when the first request arrives; the worker
    does it before it says that it is ready.
    """
    from django.urls import get_resolver

    # Reading the patterns imports the views; populating also builds the index.
    get_resolver()._populate()


def worker_exit(server: Any, worker: Any) -> None:
    """Wait for greenlets of ``spawn`` that outlived their requests, then end them.

    gunicorn has waited for the requests; what they left behind gets as long.
    """
    left = outstanding()
    if not left:
        return
    gevent.wait(left, timeout=worker.cfg.graceful_timeout)
    left = outstanding()
    if left:
        logger.warning("worker ends, %d spawned greenlets are cancelled: %s", len(left), left)
        gevent.killall(left, timeout=5.0)
