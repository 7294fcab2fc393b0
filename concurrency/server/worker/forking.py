"""What a forked worker does not inherit: greenlets that run in the arbiter.

With `--preload` the application is imported in the arbiter, and a thread that it starts
there is a greenlet, which a fork copies. Native threads do not survive a fork, and code
relies on that: a job would otherwise run once in each process, on connections that all of
them share. So in a worker no such greenlet ever runs again. It cannot be ended either:
that would run its `finally` blocks, which may speak to whatever the arbiter speaks to.
Needs gunicorn's arbiter to say when it forks a worker. Does not depend on gunicorn.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import stat
from collections.abc import Iterable
from typing import Any
from weakref import WeakSet

import gevent
from gevent.hub import Hub, Waiter, get_hub
from gevent.queue import SimpleQueue
from greenlet import getcurrent, greenlet

from concurrency import kinship
from concurrency.compat.gevent import AbstractLinkable, cancel_before_start
from concurrency.observe.greenlets import describe
from concurrency.patching.turnstile import Turnstile
from concurrency.tasks.loose import forget_all

__all__ = ["announce", "expect"]

# The process that forks workers.
_forking = 0

# Greenlets that were named in the log.
_announced: WeakSet[Any] = WeakSet()

# Greenlets of the arbiter, in a worker. They are kept for ever: to let one go is to end it.
_parked: list[Any] = []

_REMEDY = (
    "%d greenlets that preloaded code has started run in the arbiter alone, and are not "
    "there in workers: %s. To have one in each worker, start it in post_fork(server, worker) "
    "of gunicorn.conf.py; to have one in all, leave it in the arbiter or run it as a process "
    "of its own."
)


def announce(log: Any) -> None:
    """Say once which greenlets workers will not have; in the arbiter, before it forks one.

    Args:
        log: gunicorn's.
    """
    gevent.sleep(0)  # what has not begun has no name yet
    new = {one: name for one in _others() if one not in _announced and (name := describe(one))}
    if new:
        _announced.update(new)
        log.warning(_REMEDY, len(new), "; ".join(sorted(set(new.values()))))


def expect() -> None:
    """Take the forks of this process for those of workers, from now on."""
    global _forking
    _forking = os.getpid()


def _after_fork_in_child() -> None:
    global _forking
    forking, _forking = _forking, 0
    if forking and forking == os.getppid():
        _park(_others())


def _others() -> list[Any]:
    """Return the greenlets of this thread that have not ended, without the one that runs."""
    here = getcurrent()
    return [
        one
        for one in gc.get_objects()
        if _is(one, greenlet)
        and one is not here
        and not isinstance(one, Hub)
        and not one.dead  # also one that has not begun, as of `spawn_raw`
    ]


def _is(one: Any, kind: Any) -> bool:
    """Return whether an object is of a class, without asking it.

    `isinstance` evaluates lazy objects, such as Django's settings before they are configured.
    """
    return issubclass(type(one), kind)


def _park(others: list[Any]) -> None:
    """Have nothing resume these greenlets any more."""
    _parked.extend(others)
    for one in others:
        # One that has not begun can simply be cancelled: nothing of it has run.
        if isinstance(one, gevent.Greenlet) and one.gr_frame is None:
            cancel_before_start(one)
    _stop_watchers(frozenset(map(id, others)))
    _forget_waits(others)
    forget_all()
    kinship.forget_waits()
    for one in others:
        _hide(one)


def _stop_watchers(parked: frozenset[int]) -> None:
    """Stop what would wake them, and close the sockets they wait for, in this process."""
    loop: Any = get_hub().loop
    timer, callback = loop.timer(0.0), loop.run_callback(int)
    callback.stop()
    watcher_class: Any
    callback_class: Any
    watcher_class, callback_class = type(timer).__mro__[-2], type(callback)
    sockets = set()
    for one in gc.get_objects():
        if _is(one, callback_class) and one.pending:
            if _resumes(one, parked):
                one.stop()
        elif _is(one, watcher_class) and (one.active or one.pending):
            # Nobody but those greenlets, and servers beside them, waits for input here.
            if hasattr(one, "fd"):
                sockets.add(one.fd)
                one.stop()
            elif _resumes(one, parked):
                one.stop()
    timer.close()
    _close(sockets)


def _resumes(one: Any, parked: frozenset[int]) -> bool:
    """Return whether a watcher or callback is for one of them; of a timeout it is an argument."""
    for target in (getattr(one.callback, "__self__", None), *(one.args or ())):
        if id(target.greenlet if _is(target, Waiter) else target) in parked:
            return True
    return False


def _close(descriptors: Iterable[int]) -> None:
    """Close sockets without a word to the other end, which is the arbiter's too.

    Their numbers are kept, for a file that is always empty: objects that know them, as
    those of libpq or OpenSSL, must not find somebody else's connection there.
    """
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                os.dup2(nothing, descriptor, inheritable=False)
    os.close(nothing)


def _forget_waits(others: list[Any]) -> None:
    """Take them out of the queues of locks, events and the like, so that none is handed to them."""
    switches = [one.switch for one in others]
    for one in gc.get_objects():
        if _is(one, Waiter) and one.greenlet is not None and one.greenlet in others:
            one.clear()
        elif _is(one, Turnstile):
            one.forget_waiters()
        elif _is(one, AbstractLinkable) and one.linkcount():
            for switch in switches:
                one.unlink(switch)
        elif _is(one, SimpleQueue):
            for name in ("getters", "putters"):
                getattr(one, name, set()).clear()


def _hide(one: Any) -> None:
    """Keep a greenlet from being found, to be killed, or destroyed at the end of the process."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(one))
    ctypes.pythonapi.PyObject_GC_UnTrack(ctypes.py_object(one))


os.register_at_fork(after_in_child=_after_fork_in_child)
