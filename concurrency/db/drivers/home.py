"""The thread in which greenlets of pools run: the main one, which imports this.

The hub of a thread of ``offload`` only turns while a call waits there.
"""

from __future__ import annotations

from collections.abc import Callable

import gevent
from gevent.hub import get_hub

hub = get_hub()


def is_here() -> bool:
    """Return whether the caller is in that thread."""
    return get_hub() is hub


def run(work: Callable[..., object], *args: object) -> None:
    """Have something called in that thread's hub, at once if this is it. Never waits."""
    if is_here():
        work(*args)
    else:
        hub.loop.run_callback_threadsafe(work, *args)


def spawn(work: Callable[..., object], *args: object) -> None:
    """Start a greenlet in that thread. Never waits."""
    run(gevent.spawn, work, *args)
