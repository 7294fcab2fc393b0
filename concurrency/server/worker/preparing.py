"""What a worker does when it has loaded the application, and when it ends.

The same for gunicorn's own gevent worker, whose hooks call it, and for ours.
"""

from __future__ import annotations

import gc
import signal
from functools import partial
from types import FrameType
from typing import Any

import gevent
from gevent.hub import get_hub
from gevent.pool import Group

from concurrency.conf import conf
from concurrency.observe.greenlets import note_births
from concurrency.observe.hub import Monitor
from concurrency.server import folder
from concurrency.server.option_sources import current
from concurrency.server.worker.drain import TO_CANCEL, Drain
from concurrency.server.worker.front import Front
from concurrency.server.worker.gate import Gate
from concurrency.server.worker.state import state_of
from concurrency.server.worker.window import Window
from concurrency.tasks import outstanding

__all__ = ["finish", "prepare"]

# Python looks for garbage after so many new objects (2,000 from 3.13 on). Fifty requests in
# flight hold ten times as many, so that it would look at them again and again, in vain.
_PYTHONS = frozenset({700, 2000})
_OBJECTS = 10_000


def prepare(worker: Any) -> None:
    """Put front and gate before the application, and load what the first request would wait for.

    Args:
        worker: gunicorn's, with its application loaded. Doing it twice does nothing.
    """
    state = state_of(worker)
    if state.gate is not None:
        return
    _import_what_requests_use()
    drain, options = state.drain, current()
    drain.delay = options.drain_delay
    if state.row is not None:
        drain.then = partial(state.row.write, draining=True)
    shed_after = conf.SHED_AFTER or state.shed_after
    state.gate = Gate(worker.wsgi, drain, limit=conf.MAX_IN_FLIGHT, shed_after=shed_after)
    worker.wsgi = state.gate
    if not state.speaks_http:
        _watch_for_sigterm(drain)
        worker.wsgi = Front(
            state.gate,
            max_body_size=options.max_body_size,
            min_rate=options.min_rate,
            folder=options.spool_dir,
        )
    _collect_less_often()
    _let_be_watched(worker)


def _import_what_requests_use() -> None:
    """Import the views, the drivers of the databases and what resolves names of hosts."""
    from django.db import connections
    from django.db.utils import load_backend
    from django.urls import get_resolver

    # Reading the patterns is what imports the views.
    _ = get_resolver().url_patterns
    for settings in connections.settings.values():
        load_backend(settings["ENGINE"])
    _ = get_hub().resolver


def _collect_less_often() -> None:
    """Look for garbage after more new objects, unless the application has chosen a number."""
    first, *others = gc.get_threshold()
    if first in _PYTHONS:
        gc.set_threshold(_OBJECTS, *others)


def _let_be_watched(worker: Any) -> None:
    """Begin to look at the hub, and to show its greenlets to who asks."""
    note_births()
    if conf.HUB_BLOCKED_AFTER is not None:
        Monitor(conf.HUB_BLOCKED_AFTER).start()
    own = folder.own()
    if own is not None:
        window = state_of(worker).window = Window(own, ", ".join(map(_address, worker.sockets)))
        try:
            window.open()
        except OSError as error:
            worker.log.warning("`manage.py greenlets` will not show this worker: %s", error)


def _address(listener: Any) -> str:
    name = listener.getsockname()
    return f"{name[0]}:{name[1]}" if isinstance(name, tuple) else str(name)


def _watch_for_sigterm(drain: Drain) -> None:
    """Close idle connections at SIGTERM, for a worker that does not do it itself."""
    handle = signal.getsignal(signal.SIGTERM)
    loop = get_hub().loop

    def begin(number: int, frame: FrameType | None) -> None:
        drain.begin()
        loop.run_callback_threadsafe(drain.close_idle)
        if callable(handle):
            handle(number, frame)

    signal.signal(signal.SIGTERM, begin)


def finish(worker: Any, connections: Group | None = None) -> None:
    """Wait for greenlets of ``spawn`` that outlived their requests, then end what is left.

    Args:
        worker: gunicorn's, which has waited for the requests.
        connections: those that still have work.
    """
    state = state_of(worker)
    drain = state.drain
    if state.window is not None:
        state.window.close()
    left = outstanding()
    if left:
        gevent.wait(left, timeout=max(0.0, drain.left(worker.cfg.graceful_timeout)))
        left = outstanding()
    if left:
        worker.log.warning("worker ends, %d spawned greenlets are cancelled: %s", len(left), left)
    requests = list(connections or ())
    if requests:
        worker.log.warning("worker ends, %d connections are cut off", len(requests))
    gevent.killall([*left, *requests], timeout=TO_CANCEL)
