"""Makes ``multiprocessing`` wait cooperatively, and its children start without greenlets.

A pool's threads are greenlets here, and read from pipes: a native wait would block all of
them. A forked child has copies of its parent's greenlets, which must not run there.
"""

from __future__ import annotations

import functools
import gc
import os
import selectors
from collections.abc import Callable
from time import monotonic
from types import ModuleType
from typing import Any

import gevent
from gevent.hub import get_hub, getcurrent
from gevent.monkey import get_original
from gevent.socket import wait_read, wait_write
from greenlet import greenlet

from concurrency.compat import multiprocessing as compat
from concurrency.compat.gevent import watch_child
from concurrency.patching.imports import when_imported

_poll = get_original("select", "poll")
_POLLIN, _POLLOUT = get_original("select", "POLLIN"), get_original("select", "POLLOUT")

# A pipe that is writable takes this many bytes at once (POSIX: PIPE_BUF is 512 or more).
_PIPE_BUF = 4096 if os.name != "posix" else os.pathconf("/", "PC_PIPE_BUF")

# Seconds between two attempts to acquire a semaphore that other processes hold.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.001, 0.02

# Greenlets of parents. Collecting them would run their cleanup code, so they are kept.
_of_parents: list[Any] = []


def install() -> None:
    """Apply this when ``multiprocessing`` is imported."""
    when_imported("multiprocessing.connection", _wait_cooperatively)
    when_imported("multiprocessing.synchronize", _acquire_cooperatively)
    when_imported("multiprocessing.process", _begin_anew)
    when_imported("multiprocessing.util", _watch_children)


def _wait_cooperatively(connection: ModuleType) -> None:
    compat.wait_by(connection, selectors.DefaultSelector)
    compat.transfer_by(connection, _read, _write)


def _read(fd: int, size: int) -> bytes:
    _wait_until(fd, _POLLIN, wait_read)
    return os.read(fd, size)


def _write(fd: int, data: Any) -> int:
    _wait_until(fd, _POLLOUT, wait_write)
    return os.write(fd, data[:_PIPE_BUF])


def _wait_until(fd: int, event: int, wait: Any) -> None:
    poll = _poll()
    poll.register(fd, event)
    if not poll.poll(0) and getcurrent() is not get_hub():
        wait(fd)


def _acquire_cooperatively(synchronize: ModuleType) -> None:
    """Make waits for semaphores poll, because a wait in C blocks all greenlets.

    The end of a pool needs a semaphore that only a greenlet of this process can release.
    """
    compat.around_semaphores(synchronize, _with_cooperative_methods)
    base: Any = synchronize.SemLock
    base.__enter__ = lambda self: self.acquire()


def _with_cooperative_methods(make_methods: Callable[[Any], None]) -> Callable[[Any], None]:
    def make_cooperative_methods(self: Any) -> None:
        make_methods(self)
        self.acquire = functools.partial(_acquire, self.acquire)

    return make_cooperative_methods


def _acquire(native: Callable[..., bool], block: bool = True, timeout: float | None = None) -> bool:
    if native(False):
        return True
    if not block or getcurrent() is get_hub():
        return native(block, timeout)
    end = None if timeout is None else monotonic() + timeout
    pause = _FIRST_PAUSE
    while not native(False):
        if end is not None and monotonic() >= end:
            return False
        gevent.sleep(pause if end is None else min(pause, max(end - monotonic(), 0)))
        pause = min(2 * pause, _LONGEST_PAUSE)
    return True


def _begin_anew(process: ModuleType) -> None:
    base: Any = process.BaseProcess
    start = base.start

    def refusing_start(self: Any) -> None:
        if not get_hub().main_hub:
            raise RuntimeError(
                "multiprocessing starts processes in the main thread only: call it outside of "
                "offload(), where it waits cooperatively, or leave this command unpatched "
                "(CONCURRENCY_UNPATCHED_COMMANDS)"
            )
        start(self)

    base.start = refusing_start
    compat.around_child(process, _alone)


def _alone(bootstrap: Callable[..., int]) -> Callable[..., int]:
    def bootstrap_alone(*args: Any, **kwargs: Any) -> int:
        _leave_parents_greenlets()
        return bootstrap(*args, **kwargs)

    return bootstrap_alone


def _leave_parents_greenlets() -> None:
    """Prevent the greenlets copied from the parent's hub from ever running."""
    hub: Any = get_hub()
    callback = hub.loop.run_callback(lambda: None)
    kinds: Any = (type(callback), _watcher_class(hub))
    me = getcurrent()
    for one in gc.get_objects():
        # type() and never isinstance(), which makes lazy objects evaluate themselves.
        if issubclass(type(one), kinds):
            one.stop()
        elif issubclass(type(one), greenlet) and one is not me:
            _of_parents.append(one)


def _watcher_class(hub: Any) -> type:
    watcher = hub.loop.timer(0)
    watcher.close()
    return next(base for base in type(watcher).__mro__ if base.__name__ == "watcher")


def _watch_children(util: ModuleType) -> None:
    """Make the hub keep the exit status of the children that it reaps, until it is asked for."""
    compat.around_spawning(util, _watched)


def _watched(spawn: Callable[..., int]) -> Callable[..., int]:
    def spawn_and_watch(*args: Any) -> int:
        pid = spawn(*args)
        watch_child(pid)
        return pid

    return spawn_and_watch
