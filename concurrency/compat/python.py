"""What the standard library does not promise, but for asyncio and multiprocessing.

Importing it changes nothing, and it may be imported before the patch.
"""

from __future__ import annotations

import gc
import importlib._bootstrap
import threading
from collections.abc import Callable
from operator import attrgetter
from typing import Any

from concurrency.compat.names import Names

__all__ = [
    "LOCK_MAKERS",
    "NAMES",
    "SENTINEL_MAKERS",
    "has_threads",
    "is_of_executor",
    "is_reentrant",
    "is_shutting_down",
    "is_taken_by_caller",
    "locks_of_modules",
    "log_handlers",
    "open_files",
    "pass_on_locks",
    "renew_after_fork",
    "set_open_files",
    "target_of",
]

NAMES = Names(
    "Python",
    "concurrent.futures.thread:ThreadPoolExecutor()._threads",
    "concurrent.futures.thread:_worker",
    "importlib._bootstrap:_ModuleLock().owner",
    "logging:_handlerList",
    "logging:_lock",
    "threading:_PyRLock._is_owned",
    "threading:Thread()._target",
    "threading:_PyRLock()._owner",
    "threading:_PyRLock()._at_fork_reinit",
    "threading:_SHUTTING_DOWN",
    "socket:socket()._io_refs",
    "threading:_active_limbo_lock",
    "threading:_allocate_lock",
)

#: By what else than ``Lock`` the module ``threading`` makes locks.
LOCK_MAKERS = ("_allocate_lock",)

#: By what it makes the lock that ends with a thread; before Python 3.13.
SENTINEL_MAKERS = ("_set_sentinel",)


def locks_of_modules() -> list[tuple[Any, str]]:
    """Return ``(module, name)`` of locks that modules made when they were imported.

    Some of them are not there in each version.
    """
    import concurrent.futures.thread
    import logging  # not before the patch: it makes locks

    return [
        (threading, "_active_limbo_lock"),
        (threading, "_shutdown_locks_lock"),
        (concurrent.futures.thread, "_global_shutdown_lock"),
        (logging, "_lock"),
    ]


def log_handlers() -> list[Any]:
    """Return all handlers that there are."""
    import logging

    references = list(logging._handlerList)  # type: ignore[attr-defined]
    return [handler for reference in references if (handler := reference()) is not None]


def is_reentrant(lock: Any) -> bool:
    """Return whether a lock may be taken again by the one that has it."""
    return hasattr(lock, "_is_owned")


def is_taken_by_caller(lock: Any) -> bool:
    """Return whether the caller has a reentrant lock."""
    return bool(lock._is_owned())


def pass_on_locks(before: int, now: int) -> None:
    """Give the locks of Python's own that one owner has to another.

    Args:
        before: what number the owner had as a thread.
        now: what number it has.
    """
    module_lock: Any = importlib._bootstrap._ModuleLock  # type: ignore[attr-defined]
    reentrant_lock: Any = threading._PyRLock  # type: ignore[attr-defined]
    for one in gc.get_objects():
        # type() and never isinstance(): lazy objects evaluate themselves when asked.
        if type(one) is module_lock and one.owner == before:
            one.owner = now
        elif type(one) is reentrant_lock and one._owner == before:
            one._owner = now


def renew_after_fork(lock: Any) -> Callable[[], None]:
    """Return what frees a native lock in a child process, whose holder does not run there."""
    renew: Callable[[], None] = lock._at_fork_reinit
    return renew


def is_shutting_down() -> bool:
    """Return whether the process ends, and its threads with it."""
    return bool(threading._SHUTTING_DOWN)  # type: ignore[attr-defined]


def target_of(thread: threading.Thread) -> Any:
    """Return the function that a thread calls, None if it calls none or has ended."""
    return getattr(thread, "_target", None)


def is_of_executor(thread: threading.Thread) -> bool:
    """Return whether a thread is of a ``ThreadPoolExecutor``."""
    from concurrent.futures import thread as threads

    return target_of(thread) is threads._worker


#: How many files are open on a socket, which is closed with the last one.
open_files: Callable[[Any], int] = attrgetter("_io_refs")


def set_open_files(sock: Any, count: int) -> None:
    """Say how many files are open on a socket."""
    sock._io_refs = count


def has_threads(executor: Any) -> bool:
    """Return whether a ``ThreadPoolExecutor`` has started a thread."""
    return bool(executor._threads)
