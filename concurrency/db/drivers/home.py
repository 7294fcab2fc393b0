"""The thread in which the greenlets of pools run: the main one, which imports this module.

The hub of an ``offload`` thread runs only while a call waits there.
"""

from __future__ import annotations

from collections.abc import Callable

import gevent
from gevent.hub import get_hub

hub = get_hub()


def is_here() -> bool:
    """Return whether the caller is in the home thread."""
    return get_hub() is hub


def run(work: Callable[..., object], *args: object) -> None:
    """Call a function in the home thread's hub; directly if already there. Never waits."""
    if is_here():
        work(*args)
    else:
        hub.loop.run_callback_threadsafe(work, *args)


def spawn(work: Callable[..., object], *args: object) -> None:
    """Start a greenlet in the home thread. Never waits."""
    run(gevent.spawn, work, *args)
