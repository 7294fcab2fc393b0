"""Native threads that do one piece of work after another.

An idle thread with a hub waits on it, so that greenlets started by a call, such as the
background worker of an SDK, keep running after the call. In gevent's ``ThreadPool``, which
waits natively, they would stop.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from gevent.monkey import get_original

from concurrency.compat.gevent import get_hub_if_exists
from concurrency.patching.simple_queue import SimpleQueue

_start_new_thread = get_original("_thread", "start_new_thread")


class _Calls(SimpleQueue):
    """Wakes the thread that was busy last: its connections are open, its caches warm."""

    __slots__ = ()

    _is_stack = True


class NativeThreads:
    """The native threads of one hub, started on demand.

    Args:
        hub: the hub whose greenlets call ``run``.
        most: the largest number of threads; further calls wait for one.
    """

    def __init__(self, hub: Any, most: int) -> None:
        self._most = most
        # Keeps the loop running while greenlets wait: what they wait for is outside of it.
        self._watcher = hub.loop.async_()
        self._waiting = 0
        self._started = 0
        self._calls = _Calls()
        # One for each call that is not over; appending and popping need no lock.
        self._unfinished: deque[None] = deque()

    def run(self, work: Callable[[], object]) -> None:
        """Call ``work()`` in a thread, and wait until it has returned.

        Raises:
            BaseException: what it raised.
        """
        over = SimpleQueue()
        self._unfinished.append(None)
        if self._started < min(self._most, len(self._unfinished)):
            self._start()
        self._calls.put((work, over))
        error = self._wait(over)
        if error is not None:
            raise error

    def _wait(self, over: SimpleQueue) -> BaseException | None:
        if not self._waiting:
            self._watcher.start(_nothing)
        self._waiting += 1
        try:
            error: BaseException | None = over.get()
            return error
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._watcher.stop()

    def _start(self) -> None:
        try:
            _start_new_thread(_serve, (self._calls, self._unfinished))
        except RuntimeError:  # the limit of the operating system
            if not self._started:
                self._unfinished.pop()
                raise
        else:
            self._started += 1

    def forget(self) -> None:
        """Forget the threads; for a child process, in which they do not run."""
        self._calls.forget_waiters()
        self._watcher.stop()
        self._started = 0

    def __del__(self) -> None:
        for _ in range(self._started):
            self._calls.put(None)


def _nothing() -> None:
    """Do nothing: the watcher is never triggered."""


def _serve(calls: SimpleQueue, unfinished: deque[None]) -> None:
    """Make calls until the next one is None; runs in a native thread."""
    while (call := calls.get()) is not None:
        work, over = call
        error = _error_of(work)
        unfinished.pop()
        over.put(error)
        del call, work, over, error  # nothing lives until the next call
    hub: Any = get_hub_if_exists()
    if hub is not None:
        hub.destroy(destroy_loop=True)


def _error_of(work: Callable[[], object]) -> BaseException | None:
    try:
        work()
    except BaseException as error:  # noqa: BLE001 - raised in the greenlet that waits
        return error
    return None
