"""What asgiref does not promise: how it runs coroutines for callers, and calls for coroutines.

It imports asgiref, and with it asyncio: import it after the patch.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextvars import Context
from typing import Any

import asgiref.current_thread_executor
import asgiref.sync

from concurrency.compat.names import Names

__all__ = [
    "NAMES",
    "can_show_kept",
    "executor_class",
    "executors",
    "is_run",
    "kept_by_greenlet",
    "must_stay_in_a_thread",
    "replace",
    "replace_single_thread",
    "restore_context",
    "single_thread",
    "use_executor",
    "variables_of_call",
]

NAMES = Names(
    "asgiref",
    "asgiref.sync:CurrentThreadExecutor",
    "asgiref.sync:ThreadPoolExecutor",
    "asgiref.current_thread_executor:CurrentThreadExecutor",
    "asgiref.sync:AsyncToSync.executors",
    "asgiref.sync:AsyncToSync.main_wrap",
    "asgiref.sync:SyncToAsync.single_thread_executor",
    "asgiref.sync:SyncToAsync.thread_handler",
    "asgiref.sync:SyncToAsync.threadlocal",
    "asgiref.sync:_restore_context(context)",
)

_sync: Any = asgiref.sync
_home: Any = asgiref.current_thread_executor

#: ``current`` is the executor that waits for the coroutine that runs in this greenlet.
executors: Any = getattr(_sync.AsyncToSync, "executors", None)


def _restore_nothing(context: Context) -> None:
    NAMES.require()


#: Sets the variables of a context here, with what belongs to a thread in ``Local`` objects.
#: Raises ``MissingNameError`` where asgiref has no such function any more.
restore_context: Callable[[Context], None] = getattr(_sync, "_restore_context", _restore_nothing)


def executor_class() -> Any:
    """Return the class of executors that run calls in the thread that waits."""
    return getattr(_sync, "CurrentThreadExecutor", None)


def replace(
    *,
    executor: type,
    loop_thread: type,
    single_thread: object,
    watched: Callable[[Callable[..., Any]], Callable[..., Any]],
    forgetting: Callable[[Callable[..., Any]], Callable[..., Any]],
) -> None:
    """Put others in the places of threads.

    Args:
        executor: class of executors that run calls where somebody waits for a coroutine.
        loop_thread: class of executors in which asgiref runs a loop.
        single_thread: in the place of the executor of calls that have no other place.
        watched: returns what is called around a coroutine.
        forgetting: returns what is called around a call of a coroutine.
    """
    _sync.CurrentThreadExecutor = _home.CurrentThreadExecutor = executor
    _sync.ThreadPoolExecutor = loop_thread
    # Made when asgiref was imported, which may have been before the patch.
    _sync.SyncToAsync.threadlocal = threading.local()
    replace_single_thread(single_thread)
    _sync.AsyncToSync.main_wrap = watched(_sync.AsyncToSync.main_wrap)
    _sync.SyncToAsync.thread_handler = forgetting(_sync.SyncToAsync.thread_handler)


def single_thread() -> Any:
    """Return the executor of calls that have no other place, None if there is none."""
    return getattr(_sync.SyncToAsync, "single_thread_executor", None)


def replace_single_thread(executor: object) -> None:
    """Use another executor for calls that have no other place."""
    _sync.SyncToAsync.single_thread_executor = executor


def use_executor(executor: object) -> None:
    """Have calls of coroutines that begin in this context run in an executor."""
    if executors is not None:
        executors.current = executor


def variables_of_call(call: Any = None) -> dict[str, Any]:
    """Return what a greenlet knows of the loop that has called it.

    Args:
        call: the ``SyncToAsync`` that is called; None: any.
    """
    variables: dict[str, Any] = vars((call or _sync.SyncToAsync).threadlocal)
    return variables


def is_run(fn: Any) -> bool:
    """Return whether asgiref calls it to run a coroutine on a loop of its own."""
    if fn is asyncio.run:
        return True
    # Before asgiref 3.9 it had a function of its own.
    own = getattr(_sync.AsyncToSync, "_run_event_loop", None)
    return own is not None and getattr(fn, "__func__", None) is own


def must_stay_in_a_thread() -> bool:
    """Return whether the caller has asked for a thread, by a ``ThreadSensitiveContext``."""
    context = getattr(_sync.AsyncToSync, "async_single_thread_context", None)
    return context is not None and context.get(None) is not None


# Of ``Local(thread_critical=True)``


def kept_by_greenlet(local: Any) -> dict[str, Any]:
    """Return what a ``Local`` keeps for this greenlet, which must run no loop."""
    kept: dict[str, Any] = vars(local._storage)
    return kept


def can_show_kept(local: Any) -> bool:
    """Return whether ``kept_by_greenlet`` is right for a ``Local``; not inside a loop."""
    probe = "concurrency_probe"
    setattr(local, probe, probe)
    try:
        return kept_by_greenlet(local).get(probe) == probe
    except (AttributeError, TypeError):
        return False
    finally:
        delattr(local, probe)
