"""A lock that greenlets and native threads may share.

gevent's lock belongs to the hub that waits for it first: beside a native thread, as
those of ``offload``, it loses wake-ups. This one is a native lock that is only ever
tried, and a queue for those who did not get it. A greenlet waits there on its own hub
while others run, and a thread without a hub natively; whoever releases the lock wakes
the first, in whatever thread it waits. No native lock is held while anybody waits.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from time import monotonic
from typing import Any

import gevent
from gevent._hub_local import get_hub_if_exists
from gevent.exceptions import BlockingSwitchOutError, LoopExit
from gevent.hub import Waiter, getcurrent
from gevent.monkey import get_original

_allocate = get_original("_thread", "allocate_lock")
_count_threads = get_original("_thread", "_count")

# Guards all queues, for microseconds. Reentrant, because the garbage collector may run a
# finaliser that takes a lock in the middle of this.
_guard = get_original("_thread", "RLock")()

# Seconds after which the first in the queue is given the lock itself. Before, it is only
# woken, and whoever comes meanwhile may take the lock: that spares a switch at each
# release. After, nobody may pass: a thread that takes it again and again would.
_STARVED = 0.005

# Seconds for which a callback of the hub waits for a native thread.
_PATIENCE_IN_HUB = 1.0


class _Waiting:
    """One that waits: where it stands."""

    __slots__ = ("owns", "since")

    def __init__(self) -> None:
        self.since = monotonic()
        #: Whether it was given the lock.
        self.owns = False

    def wake(self) -> None:
        """End the wait, or the next one; called in any thread, under the guard."""
        raise NotImplementedError

    def wait(self, seconds: float | None) -> bool:
        """Wait for ``wake``; return whether it was there in time."""
        raise NotImplementedError


class _InThread(_Waiting):
    """A native thread that has no greenlets to run meanwhile."""

    __slots__ = ("_woken",)

    def __init__(self) -> None:
        super().__init__()
        self._woken = _allocate()
        self._woken.acquire()

    def wake(self) -> None:
        if self._woken.locked():
            self._woken.release()

    def wait(self, seconds: float | None) -> bool:
        return bool(self._woken.acquire(True, -1 if seconds is None else max(seconds, 0)))


class _OnHub(_Waiting):
    """A greenlet, whose hub runs others meanwhile."""

    __slots__ = ("_hub", "_waiter")

    def __init__(self, hub: Any) -> None:
        super().__init__()
        self._hub = hub
        self._waiter: Any = Waiter(hub)

    def wake(self) -> None:
        # A callback also keeps a loop from ending that has nothing else to wait for.
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


class Lock:
    """In the place of ``threading.Lock``, for greenlets and native threads alike."""

    __slots__ = ("__weakref__", "_native", "_waiting")

    def __init__(self) -> None:
        self._native = _allocate()
        self._waiting: deque[_Waiting] | tuple[()] = ()

    def __repr__(self) -> str:
        state = "locked" if self.locked() else "unlocked"
        return f"<{state} {type(self).__module__}.Lock at {id(self):#x}>"

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take the lock, as ``threading.Lock.acquire``."""
        if self._native.acquire(False):
            return True
        if not blocking:
            if timeout != -1:
                raise ValueError("can't specify a timeout for a non-blocking call")
            _let_others_run()
            return False
        if timeout < 0 and timeout != -1:
            raise ValueError("timeout value must be a non-negative number")
        return self._wait(None if timeout == -1 else timeout)

    def release(self) -> None:
        """Give the lock back, as ``threading.Lock.release``.

        Raises:
            RuntimeError: nobody has taken it.
        """
        if self._waiting and self._hand_over():
            return
        self._native.release()
        # Who came into the queue before this tries once more, who comes after it gets it.
        if self._waiting:
            self._wake_first()

    def locked(self) -> bool:
        """Return whether somebody has taken it."""
        return bool(self._native.locked())

    def __enter__(self) -> bool:
        return self._native.acquire(False) or self._wait(None)

    def __exit__(self, *error: object) -> None:
        self.release()

    def _is_owned(self) -> bool:
        """Tell ``threading.Condition`` what it would find out by trying to take it."""
        return bool(self._native.locked())

    def forget_waiters(self) -> None:
        """Wake nobody of those that wait; in a child process, where they do not run."""
        self._waiting = ()

    def _at_fork_reinit(self) -> None:
        """Begin anew in a child process, where nobody waits."""
        self._native = _allocate()
        self._waiting = ()

    def _wait(self, seconds: float | None) -> bool:
        end = None if seconds is None else monotonic() + seconds
        hub = get_hub_if_exists()
        if hub is None:
            return self._queue_up(_InThread(), end)
        if getcurrent() is hub:
            return self._wait_in_hub(end)
        try:
            return self._queue_up(_OnHub(hub), end)
        except LoopExit:
            if not _count_threads() or threading._SHUTTING_DOWN:  # type: ignore[attr-defined]
                raise
        # No greenlet of this thread can do anything before another thread does.
        return self._queue_up(_InThread(), end)

    def _wait_in_hub(self, end: float | None) -> bool:
        """Wait for a native thread, which gives it back soon; a greenlet could not meanwhile."""
        patience = monotonic() + (_PATIENCE_IN_HUB if _count_threads() else 0)
        if self._queue_up(_InThread(), patience if end is None else min(end, patience)):
            return True
        if end is not None and monotonic() >= end:
            return False
        raise BlockingSwitchOutError(
            f"{self!r} is held by a greenlet, and a callback of the hub cannot wait for it"
        )

    def _queue_up(self, one: _Waiting, end: float | None) -> bool:
        """Return whether the lock was got before ``end``."""
        try:
            got = self._take(one, end)
        except BaseException:
            self._withdraw(one)
            if one.owns:
                self.release()
            else:
                self._wake_first()  # it may have been woken in place of another
            raise
        self._withdraw(one)
        if not got and not one.owns:
            self._wake_first()
        return got or one.owns

    def _take(self, one: _Waiting, end: float | None) -> bool:
        first = False
        while True:
            self._enqueue(one, first)
            if self._native.acquire(False):
                return True
            woken = one.wait(None if end is None else end - monotonic())
            if one.owns or self._native.acquire(False):
                return True
            if not woken:
                return False
            first = True

    def _enqueue(self, one: _Waiting, first: bool) -> None:
        with _guard:
            queue = self._waiting
            if not isinstance(queue, deque):
                queue = self._waiting = deque()
            if first:
                queue.appendleft(one)
            else:
                queue.append(one)

    def _withdraw(self, one: _Waiting) -> None:
        with _guard:
            queue = self._waiting
            if isinstance(queue, deque) and one in queue:
                queue.remove(one)
            if not queue:
                self._waiting = ()

    def _wake_first(self) -> None:
        with _guard:
            queue = self._waiting
            if isinstance(queue, deque) and queue:
                queue.popleft().wake()

    def _hand_over(self) -> bool:
        """Give the lock to the first in the queue if it has waited for long."""
        with _guard:
            queue = self._waiting
            if not isinstance(queue, deque) or not queue or not self._native.locked():
                return False
            if monotonic() - queue[0].since < _STARVED:
                return False
            first = queue.popleft()
            first.owns = True
            first.wake()
            return True


class Sentinel(Lock):
    """In the place of the lock that ends with a thread: free as soon as it is released.

    ``threading.Thread`` insists on that, and those who join pass it on at once.
    """

    __slots__ = ()

    def _hand_over(self) -> bool:
        return False


def _let_others_run() -> None:
    """Let whoever holds a lock get on, for those who try it again and again."""
    hub = get_hub_if_exists()
    if hub is not None and getcurrent() is not hub:
        gevent.sleep()


os.register_at_fork(after_in_child=_guard._at_fork_reinit)
