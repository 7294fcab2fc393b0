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
import queue
import threading
from typing import Any

from gevent.monkey import get_original

from concurrency.compat import python
from concurrency.patching.locks import Lock, Sentinel
from concurrency.patching.simple_queue import SimpleQueue

_QUEUES = ("Queue", "LifoQueue", "PriorityQueue")


def install() -> None:
    """Make the primitives shareable, from now on; doing it twice is harmless."""
    if vars(threading)["Lock"] is Lock:
        return
    _replace(_thread, Lock, "allocate_lock", "LockType", "lock")
    _replace(threading, Lock, "Lock", *python.LOCK_MAKERS)
    _replace(threading, Sentinel, *python.SENTINEL_MAKERS)
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
    for module, name in python.locks_of_modules():
        _renew(module, name)
    for handler in python.log_handlers():
        _renew(handler, "lock")


def _renew(owner: Any, name: str) -> None:
    """Put a lock of the same kind in the place of one, unless somebody has it."""
    lock = getattr(owner, name, None)
    if lock is None:
        return
    is_reentrant = python.is_reentrant(lock)
    if not (is_reentrant and python.is_taken_by_caller(lock)) and lock.acquire(blocking=False):
        lock.release()
        setattr(owner, name, threading.RLock() if is_reentrant else Lock())
