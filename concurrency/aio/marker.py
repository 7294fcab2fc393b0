"""asyncio's running loop belongs to the greenlet that runs it, not to its thread.

asyncio keeps one "running loop" for each native thread. In a patched process many
greenlets share a thread, so all of them would see the loop of one. While any loop runs,
each greenlet switch therefore sets the running loop of the next greenlet. Related state
moves with it: the hooks for asynchronous generators and, from Python 3.14 on, the current
task. Does not depend on Django, asgiref or the code that the loops run. It imports
asyncio, so import it after the patch.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from gevent.hub import MAIN_THREAD_IDENT  # type: ignore[attr-defined]
from gevent.monkey import get_original

from concurrency.compat.asyncio import (
    poller_of,
    repair_policy,
    replace_running_setter,
    running_setter,
    set_running_loop,
    swap_current_task,
)
from concurrency.hub import switches

_native_thread: Callable[[], int] = get_original("_thread", "get_ident")


class _Running:
    """The loop that a greenlet runs, and its related state."""

    __slots__ = ("_depth", "_hooks", "_loop", "_task")

    def __init__(self, loop: Any) -> None:
        self._loop = loop
        # A loop sets these just before it sets itself as the running loop.
        self._hooks = sys.get_asyncgen_hooks()
        self._depth = sys.get_coroutine_origin_tracking_depth()
        self._task: Any = None

    def enter(self) -> None:
        """Make this loop the running one for asyncio."""
        set_running_loop(self._loop)
        sys.set_asyncgen_hooks(*self._hooks)
        if self._depth:
            sys.set_coroutine_origin_tracking_depth(self._depth)
        if swap_current_task is not None:
            swap_current_task(self._loop, self._task)

    def leave(self) -> None:
        """Leave asyncio without a running loop."""
        if swap_current_task is not None:
            self._task = swap_current_task(self._loop, None)
        set_running_loop(None)
        sys.set_asyncgen_hooks(None, None)
        if self._depth:
            sys.set_coroutine_origin_tracking_depth(0)


def _set_running_loop(loop: Any) -> None:
    """Set the loop that this greenlet runs; replaces asyncio's function."""
    here = switches.switches()
    if loop is None:
        set_running_loop(None)
        here.drop()
    else:
        _refuse_blocking(loop)
        here.put(_Running(loop))
        set_running_loop(loop)


def _refuse_blocking(loop: Any) -> None:
    """Raise for a loop that would block all greenlets while it waits.

    Raises:
        RuntimeError: the loop is uvloop's, or was created before the patch.
    """
    if _native_thread() != MAIN_THREAD_IDENT:
        return  # a native thread blocks only its own greenlets
    poller = poller_of(loop)
    if type(loop).__module__.partition(".")[0] == "uvloop":
        raise RuntimeError(
            f"{loop!r} would stop all greenlets while it waits: use asyncio's own loop, or "
            f"run uvloop in a native thread (concurrency.offload)"
        )
    if type(poller).__module__ == "select":
        raise RuntimeError(
            f"{loop!r} was made before the process was patched and would stop all greenlets "
            f"while it waits: make `import concurrency.patch` the first statement of the "
            f"entry point"
        )


def is_installed() -> bool:
    """Return whether running loops belong to greenlets."""
    return running_setter() is _set_running_loop


def install() -> None:
    """Give each greenlet its own running loop, from now on; idempotent."""
    if is_installed():
        return
    switches.share_settrace()
    replace_running_setter(_set_running_loop)
    repair_policy()
    os.register_at_fork(after_in_child=_after_fork)


def _after_fork() -> None:
    """Leave a child process without a running loop, as asyncio does."""
    _set_running_loop(None)
