"""asyncio's running loop belongs to the greenlet that runs it, not to its thread.

asyncio keeps one "running loop" for each native thread. In a patched process many
greenlets share one, so that the loop of one would be everybody's. So it is put in
place at every switch, while any loop runs. What asyncio keeps beside it moves along:
the hooks for asynchronous generators and, from Python 3.14 on, the current task. This
module knows nothing of Django, of asgiref or of what the loops run. It imports
asyncio, so it must be imported after the patch.
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
    """The loop that a greenlet runs, and what belongs to it."""

    __slots__ = ("_depth", "_hooks", "_loop", "_task")

    def __init__(self, loop: Any) -> None:
        self._loop = loop
        # A loop sets these just before it says that it runs.
        self._hooks = sys.get_asyncgen_hooks()
        self._depth = sys.get_coroutine_origin_tracking_depth()
        self._task: Any = None

    def enter(self) -> None:
        """Have asyncio see this loop."""
        set_running_loop(self._loop)
        sys.set_asyncgen_hooks(*self._hooks)
        if self._depth:
            sys.set_coroutine_origin_tracking_depth(self._depth)
        if swap_current_task is not None:
            swap_current_task(self._loop, self._task)

    def leave(self) -> None:
        """Have asyncio see no loop."""
        if swap_current_task is not None:
            self._task = swap_current_task(self._loop, None)
        set_running_loop(None)
        sys.set_asyncgen_hooks(None, None)
        if self._depth:
            sys.set_coroutine_origin_tracking_depth(0)


def _set_running_loop(loop: Any) -> None:
    """Set the loop that this greenlet runs; in the place of asyncio's function."""
    here = switches.switches()
    if loop is None:
        set_running_loop(None)
        here.drop()
    else:
        _refuse_blocking(loop)
        here.put(_Running(loop))
        set_running_loop(loop)


def _refuse_blocking(loop: Any) -> None:
    """Raise for a loop that would wait without letting greenlets run.

    Raises:
        RuntimeError: it is uvloop's, or was made before the patch.
    """
    if _native_thread() != MAIN_THREAD_IDENT:
        return  # a native thread has no greenlets to stop but its own
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
    """Give each greenlet its own running loop, from now on; doing it twice is harmless."""
    if is_installed():
        return
    switches.share_settrace()
    replace_running_setter(_set_running_loop)
    repair_policy()
    os.register_at_fork(after_in_child=_after_fork)


def _after_fork() -> None:
    """Run no loop in a child process, as asyncio has it."""
    _set_running_loop(None)
