"""Work of native threads that only the main thread's hub can do."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import gevent
from gevent.hub import get_hub

hub: Any = get_hub()


def in_main_thread(fn: Callable[..., Any], *args: Any) -> Any:
    """Return what ``fn`` returns in the main thread; call it directly if already there."""
    here: Any = get_hub()
    if here is hub:
        return fn(*args)
    outcome: list[tuple[Any, BaseException | None]] = []
    over = threading.Event()

    def call() -> None:
        try:
            outcome.append((fn(*args), None))
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
            outcome.append((None, error))
        over.set()

    hub.loop.run_callback_threadsafe(gevent.spawn, call)
    over.wait()
    value, error = outcome[0]
    if error is not None:
        raise error
    return value
