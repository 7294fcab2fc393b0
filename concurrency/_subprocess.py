"""Programs that are started in a native thread, as those of ``offload``.

The main thread's hub alone learns when a child process ends. So it starts the program and
waits for it, and the thread waits for that; pipes are read where they are used.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable
from typing import Any

import gevent
import gevent.subprocess
from gevent.hub import get_hub

_main: Any = get_hub()

_Popen: Any = gevent.subprocess.Popen


def install() -> None:
    """Let native threads start programs, from now on; doing it twice is harmless."""
    for module in (subprocess, gevent.subprocess):
        vars(module)["Popen"] = Popen


class Popen(_Popen):  # type: ignore[misc]
    """gevent's, for all native threads."""

    def _execute_child(self, *args: Any) -> None:
        self._loop = _main.loop
        _in_main_thread(super()._execute_child, *args)

    def wait(self, timeout: float | None = None, _raise_exc: bool = True) -> Any:
        """Wait for the program to end, as ``subprocess.Popen.wait``."""
        return _in_main_thread(super().wait, timeout, _raise_exc)


def _in_main_thread(fn: Callable[..., Any], *args: Any) -> Any:
    """Return what ``fn`` returns in a greenlet of the main thread; here, if this is it."""
    here: Any = get_hub()
    if here is _main:
        return fn(*args)
    outcome: list[tuple[Any, BaseException | None]] = []
    over = threading.Event()

    def call() -> None:
        try:
            outcome.append((fn(*args), None))
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
            outcome.append((None, error))
        over.set()

    _main.loop.run_callback_threadsafe(gevent.spawn, call)
    over.wait()
    value, error = outcome[0]
    if error is not None:
        raise error
    return value
