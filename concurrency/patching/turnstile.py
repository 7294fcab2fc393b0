"""A queue in which greenlets and native threads wait for the same resource.

The resource is acquired without blocking. A caller that does not get it joins the queue: a
greenlet waits on its own hub while others run, and a thread without a hub waits natively.
The caller that makes the resource available wakes the first waiter, in any thread. No
native lock is held during a wait.
"""

from __future__ import annotations

import os
from collections import deque
from time import monotonic
from typing import Any

import gevent
from gevent.exceptions import BlockingSwitchOutError, LoopExit
from gevent.hub import Waiter, getcurrent
from gevent.monkey import get_original

from concurrency.compat.gevent import count_threads, get_hub_if_exists
from concurrency.compat.python import is_shutting_down, renew_after_fork

allocate = get_original("_thread", "allocate_lock")

# Guards all queues, for microseconds. Reentrant, because the garbage collector can run a
# finaliser that takes a lock while the guard is held.
guard = get_original("_thread", "RLock")()

# Seconds for which a hub callback waits for a native thread.
_PATIENCE_IN_HUB = 1.0


class Waiting:
    """One waiter and its state."""

    __slots__ = ("owns", "since")

    def __init__(self) -> None:
        self.since = monotonic()
        #: Whether the lock was handed to it.
        self.owns = False

    def wake(self) -> None:
        """End the wait, or the next one; called in any thread, under the guard."""
        raise NotImplementedError

    def wait(self, seconds: float | None) -> bool:
        """Wait for ``wake``; return whether it came in time."""
        raise NotImplementedError


class _InThread(Waiting):
    """A native thread without greenlets."""

    __slots__ = ("_woken",)

    def __init__(self) -> None:
        super().__init__()
        self._woken = allocate()
        self._woken.acquire()

    def wake(self) -> None:
        if self._woken.locked():
            self._woken.release()

    def wait(self, seconds: float | None) -> bool:
        return bool(self._woken.acquire(True, -1 if seconds is None else max(seconds, 0)))


class _OnHub(Waiting):
    """A greenlet, whose hub runs others during the wait."""

    __slots__ = ("_hub", "_waiter")

    def __init__(self, hub: Any) -> None:
        super().__init__()
        self._hub = hub
        self._waiter: Any = Waiter(hub)

    def wake(self) -> None:
        # A callback also keeps a loop alive that has nothing else to wait for.
        here: Any = get_hub_if_exists()
        if here is self._hub:
            self._hub.loop.run_callback(self._resume)
        else:
            self._hub.loop.run_callback_threadsafe(self._resume)

    def _resume(self) -> None:
        self._waiter.switch(None)

    def wait(self, seconds: float | None) -> bool:
        if seconds is None:
            self._waiter.get()
        elif gevent.with_timeout(max(seconds, 0), self._waiter.get, timeout_value=self) is self:
            return False
        self._waiter = Waiter(self._hub)
        return True


class Turnstile:
    """A resource that is acquired without blocking, and the queue of its waiters."""

    __slots__ = ("__weakref__", "_waiting")

    # How an error describes the unavailable resource.
    _busy = ""

    # Whether the last waiter is served first.
    _is_stack = False

    def __init__(self) -> None:
        self._waiting: deque[Waiting] | tuple[()] = ()

    def _try(self) -> bool:
        """Take the resource if it is available; never wait."""
        raise NotImplementedError

    def _give_back(self) -> None:
        """Return what was handed to a waiter whose wait is interrupted."""
        raise NotImplementedError

    def _has_more(self) -> bool:
        """Return whether more of the resource is left after it was taken."""
        return False

    def forget_waiters(self) -> None:
        """Forget the waiters; for a child process, in which they do not run."""
        self._waiting = ()

    def _wait(self, seconds: float | None) -> bool:
        end = None if seconds is None else monotonic() + seconds
        hub: Any = get_hub_if_exists()
        if hub is None:
            return self._queue_up(_InThread(), end)
        if getcurrent() is hub:
            return self._wait_in_hub(end)
        try:
            return self._queue_up(_OnHub(hub), end)
        except LoopExit:
            if not count_threads() or is_shutting_down():
                raise
        # Only another thread can wake the greenlets of this thread now: the loop must go on
        # although it has nothing to wait for.
        watcher = hub.loop.async_()
        watcher.start(lambda: None)
        try:
            return self._queue_up(_OnHub(hub), end)
        finally:
            watcher.close()

    def _wait_in_hub(self, end: float | None) -> bool:
        """Wait for a native thread to release it; a greenlet cannot run during this wait."""
        patience = monotonic() + (_PATIENCE_IN_HUB if count_threads() else 0)
        if self._queue_up(_InThread(), patience if end is None else min(end, patience)):
            return True
        if end is not None and monotonic() >= end:
            return False
        raise BlockingSwitchOutError(
            f"{self!r} {self._busy}, and a callback of the hub cannot wait for it"
        )

    def _queue_up(self, one: Waiting, end: float | None) -> bool:
        """Wait in the queue; return whether the resource was acquired before ``end``."""
        try:
            got = self._take(one, end)
        except BaseException:
            self._withdraw(one)
            if one.owns:
                self._give_back()
            else:
                self._wake_first()  # it may have used up a wake-up that the next one needs
            raise
        self._withdraw(one)
        if not one.owns and (not got or self._has_more()):
            self._wake_first()
        return got or one.owns

    def _take(self, one: Waiting, end: float | None) -> bool:
        first = self._is_stack
        while True:
            self._enqueue(one, first)
            if self._try():
                return True
            woken = one.wait(None if end is None else end - monotonic())
            if one.owns or self._try():
                return True
            if not woken:
                return False
            first = True

    def _enqueue(self, one: Waiting, first: bool) -> None:
        with guard:
            queue = self._waiting
            if not isinstance(queue, deque):
                queue = self._waiting = deque()
            if first:
                queue.appendleft(one)
            else:
                queue.append(one)

    def _withdraw(self, one: Waiting) -> None:
        with guard:
            queue = self._waiting
            if isinstance(queue, deque) and one in queue:
                queue.remove(one)
            if not queue:
                self._waiting = ()

    def _wake_first(self) -> None:
        with guard:
            queue = self._waiting
            if isinstance(queue, deque) and queue:
                queue.popleft().wake()


os.register_at_fork(after_in_child=renew_after_fork(guard))
