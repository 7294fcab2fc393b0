"""Holds back threads that the application starts on import, in a process that only inspects it.

Schedulers and consumers start when the application is imported or its apps are ready.
They are meant for processes that serve, and would run a second time beside the probes.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from concurrency.compat.python import is_of_executor

__all__ = ["without_threads"]

logger = logging.getLogger("concurrency.server")

_PATIENCE = 0.5  # seconds that the loading thread waits for a thread before that is started

_start: Any = threading.Thread.start


@contextmanager
def without_threads() -> Iterator[None]:
    """Hold back the threads that this thread's code in the block starts.

    If the code waits, they start after all: a thread that it joins does; if it waits for
    anything else of `threading`, the threads of executors do, and if that does not help,
    all of them.
    """
    held: list[threading.Thread] = []
    loader, is_over = threading.current_thread(), threading.Event()

    def start(thread: threading.Thread) -> None:
        if threading.current_thread() is loader and not is_over.is_set():
            held.append(thread)
        else:
            _start(thread)

    def join(thread: threading.Thread, timeout: float | None = None) -> None:
        if thread in held:
            held.remove(thread)
            _start(thread)
        _join(thread, timeout)

    _join: Any = threading.Thread.join
    watch = threading.Thread(target=_start_if_waited_for, args=(loader, held, is_over), daemon=True)
    watch.start()
    kind: Any = threading.Thread
    kind.start, kind.join = start, join
    try:
        yield
    finally:
        kind.start, kind.join = _start, _join
        is_over.set()
        if held:
            names = ", ".join(thread.name for thread in held)
            logger.info("threads of the application that do not run beside the probes: %s", names)


def _start_if_waited_for(
    loader: threading.Thread, held: list[threading.Thread], is_over: threading.Event
) -> None:
    waits_since: float | None = None
    while not is_over.wait(_PATIENCE / 5):
        frame = sys._current_frames().get(loader.ident or 0)
        if frame is None or frame.f_code.co_filename != threading.__file__ or not held:
            waits_since = None
        elif waits_since is None:
            waits_since = time.monotonic()
        elif time.monotonic() - waits_since > _PATIENCE:
            # Code usually waits for the results of an executor.
            wanted = [thread for thread in held if is_of_executor(thread)] or list(held)
            for thread in wanted:
                held.remove(thread)
                _start(thread)
            waits_since = None
