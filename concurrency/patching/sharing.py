"""Primitives of ``threading`` and ``queue`` that greenlets and native threads may share.

Nearly all of the standard library's are built on one lock. gevent replaces that, and some
of what is built on it, by its own, which belong to one hub. Here the lock becomes
``locks.Lock``, and what was replaced becomes the standard library's again: it waits
cooperatively because the lock does, and has all attributes and methods that libraries
expect of it. ``queue.SimpleQueue``, which is C, becomes ``simple_queue.SimpleQueue``.
``gevent.lock``, ``gevent.event`` and ``gevent.queue`` stay as they are.
"""

from __future__ import annotations

import _thread
import concurrent.futures.thread
import logging
import queue
import threading
from typing import Any

from gevent.monkey import get_original

from concurrency.patching.locks import Lock, Sentinel
from concurrency.patching.simple_queue import SimpleQueue

_QUEUES = ("Queue", "LifoQueue", "PriorityQueue")


def install() -> None:
    """Make the primitives shareable, from now on; doing it twice is harmless."""
    if vars(threading)["Lock"] is Lock:
        return
    _replace(_thread, Lock, "allocate_lock", "LockType", "lock")
    _replace(threading, Lock, "Lock", "_allocate_lock")
    _replace(threading, Sentinel, "_set_sentinel")
    threading.Event = get_original("threading", "Event")  # type: ignore[misc]
    for name in _QUEUES:
        setattr(queue, name, get_original("queue", name))
    _replace(queue, SimpleQueue, "SimpleQueue")
    _replace_existing()


def _replace(module: Any, value: object, *names: str) -> None:
    for name in names:
        if hasattr(module, name):
            setattr(module, name, value)


def _replace_existing() -> None:
    """Replace the locks that modules of the standard library have made already."""
    _renew(threading, "_active_limbo_lock")
    _renew(threading, "_shutdown_locks_lock")
    _renew(concurrent.futures.thread, "_global_shutdown_lock")
    _renew(logging, "_lock")
    for reference in list(logging._handlerList):  # type: ignore[attr-defined]
        if (handler := reference()) is not None:
            _renew(handler, "lock")


def _renew(owner: Any, name: str) -> None:
    """Put a lock of the same kind in the place of one, unless somebody has it."""
    lock = getattr(owner, name, None)
    if lock is None:
        return
    is_reentrant = hasattr(lock, "_is_owned")
    if not (is_reentrant and lock._is_owned()) and lock.acquire(blocking=False):
        lock.release()
        setattr(owner, name, threading.RLock() if is_reentrant else Lock())
