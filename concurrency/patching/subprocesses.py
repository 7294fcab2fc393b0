"""Starts programs from native threads, such as those of ``offload``.

Only the main thread's hub learns of the end of a child process. So it starts the program
and waits for it, and the native thread waits for the hub. Pipes are read in the thread that
uses them.
"""

from __future__ import annotations

import subprocess
from typing import Any

import gevent
import gevent.subprocess

from concurrency.patching import main_thread

_Popen: Any = gevent.subprocess.Popen


def install() -> None:
    """Let native threads start programs, from now on; idempotent."""
    for module in (subprocess, gevent.subprocess):
        vars(module)["Popen"] = Popen


class Popen(_Popen):  # type: ignore[misc]
    """gevent's ``Popen``, for all native threads."""

    def _execute_child(self, *args: Any) -> None:
        self._loop = main_thread.hub.loop
        main_thread.in_main_thread(super()._execute_child, *args)

    def wait(self, timeout: float | None = None, _raise_exc: bool = True) -> Any:
        """Wait for the program to end, like ``subprocess.Popen.wait``."""
        return main_thread.in_main_thread(super().wait, timeout, _raise_exc)
