"""What asyncio does not promise. It imports asyncio: import it after the patch."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from typing import Any

from concurrency.compat.names import Names

__all__ = [
    "COROUTINE_MARKS",
    "NAMES",
    "make_loops_of",
    "policy",
    "poller_of",
    "repair_policy",
    "replace_running_setter",
    "running_loop",
    "running_setter",
    "set_running_loop",
    "swap_current_task",
]

# From 3.14 on the names without an underscore warn: policies are on their way out.
_UNDERSCORE = "_" if sys.version_info >= (3, 14) else ""
_POLICY = f"{_UNDERSCORE}DefaultEventLoopPolicy"
_BASE_POLICY = f"{_UNDERSCORE}BaseDefaultEventLoopPolicy"

NAMES = Names(
    "Python",
    "asyncio:_get_running_loop()",
    "asyncio:_set_running_loop(loop)",
    "asyncio.events:_set_running_loop(loop)",
    *(["asyncio.tasks:_swap_current_task(loop, task)"] if sys.version_info >= (3, 14) else []),
    "asyncio.events:_event_loop_policy",
    f"asyncio.events:{_BASE_POLICY}._Local",
    f"asyncio.events:{_BASE_POLICY}()._local",
    f"asyncio:{_POLICY}._loop_factory",
    # What `HubLoop` overrides, or looks at in itself.
    "asyncio:SelectorEventLoop()._selector",
    "asyncio:SelectorEventLoop._check_closed(self)",
    "asyncio:SelectorEventLoop._write_to_self(self)",
    "asyncio:SelectorEventLoop._check_default_executor(self)",
    *(
        f"asyncio:SelectorEventLoop().{name}"
        for name in (
            "_asyncgens",
            "_asyncgens_shutdown_called",
            "_debug",
            "_default_executor",
            "_exception_handler",
            "_executor_shutdown_called",
            "_ready",
            "_scheduled",
            "_signal_handlers",
            "_stopping",
            "_task_factory",
            "_timer_cancelled_count",
        )
    ),
)

#: By which asyncio and inspect know a function that only returns coroutines.
COROUTINE_MARKS = ("_is_coroutine", "_is_coroutine_marker")

#: Returns the loop that runs here, or None; ``asyncio.get_running_loop`` raises.
running_loop: Callable[[], Any] = asyncio._get_running_loop

#: Sets the loop that asyncio sees in this native thread: asyncio's own function.
set_running_loop: Callable[[Any], None] = asyncio._set_running_loop

#: Sets the task that asyncio sees as the current one of a loop, and returns the one before.
#: From Python 3.14 on the native thread keeps it; None where each loop has its own.
swap_current_task: Callable[[Any, Any], Any] | None = (
    asyncio.tasks._swap_current_task  # type: ignore[attr-defined]
    if sys.version_info >= (3, 14)
    else None
)


def running_setter() -> Any:
    """Return by what loops say that they run; asyncio's own, or what took its place."""
    return asyncio.events._set_running_loop


def replace_running_setter(setter: Callable[[Any], None]) -> None:
    """Have loops say by another function that they run."""
    asyncio.events._set_running_loop = asyncio._set_running_loop = setter


def policy() -> Any:
    """Return the policy that was set, which makes loops; None if asyncio has made none yet."""
    return getattr(asyncio.events, "_event_loop_policy", None)


def repair_policy() -> None:
    """Replace the native thread-local in which an early asyncio keeps current loops."""
    base: Any = getattr(asyncio.events, _BASE_POLICY)
    if issubclass(base._Local, threading.local):
        return

    class _Local(threading.local):
        _loop = None
        _set_called = False

    base._Local = _Local
    if isinstance(current := policy(), base):
        current._local = _Local()


def make_loops_of(kind: type) -> None:
    """Have asyncio make loops of a class, unless somebody else has asked for others."""
    default: Any = getattr(asyncio, _POLICY)
    if default._loop_factory is asyncio.SelectorEventLoop:
        default._loop_factory = kind


def poller_of(loop: Any) -> Any:
    """Return by what of the kernel a loop waits, None if it cannot be seen."""
    return getattr(getattr(loop, "_selector", None), "_selector", None)
