"""Programs that are started in a native thread, as those of ``offload``.

The main thread's hub alone learns when a child process ends. So it starts the program and
waits for it, and the thread waits for that; pipes are read where they are used.
"""

from __future__ import annotations

import subprocess
from typing import Any

import gevent
import gevent.subprocess

from concurrency.patching import main_thread

_Popen: Any = gevent.subprocess.Popen


def install() -> None:
    """Let native threads start programs, from now on; doing it twice is harmless."""
    for module in (subprocess, gevent.subprocess):
        vars(module)["Popen"] = Popen


class Popen(_Popen):  # type: ignore[misc]
    """gevent's, for all native threads."""

    def _execute_child(self, *args: Any) -> None:
        self._loop = main_thread.hub.loop
        main_thread.in_main_thread(super()._execute_child, *args)

    def wait(self, timeout: float | None = None, _raise_exc: bool = True) -> Any:
        """Wait for the program to end, as ``subprocess.Popen.wait``."""
        return main_thread.in_main_thread(super().wait, timeout, _raise_exc)
