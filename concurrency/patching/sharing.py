"""Primitives of ``threading`` and ``queue`` that greenlets and native threads may share.

Nearly all primitives of the standard library are built on one lock. gevent replaces the
lock, and some primitives built on it, with its own, which belong to one hub. Here the lock
becomes ``locks.Lock``, and the replaced primitives become the standard library's again:
they wait cooperatively because the lock does, and have all attributes and methods that
libraries expect. ``queue.SimpleQueue``, written in C, becomes ``simple_queue.SimpleQueue``.
``gevent.lock``, ``gevent.event`` and ``gevent.queue`` are unchanged.
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
    """Make the primitives shareable, from now on; idempotent."""
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
    """Replace the locks that modules of the standard library have already created."""
    for module, name in python.locks_of_modules():
        _renew(module, name)
    for handler in python.log_handlers():
        _renew(handler, "lock")


def _renew(owner: Any, name: str) -> None:
    """Replace a lock with a shareable one of the same kind, unless it is held."""
    lock = getattr(owner, name, None)
    if lock is None:
        return
    is_reentrant = python.is_reentrant(lock)
    if not (is_reentrant and python.is_taken_by_caller(lock)) and lock.acquire(blocking=False):
        lock.release()
        setattr(owner, name, threading.RLock() if is_reentrant else Lock())
