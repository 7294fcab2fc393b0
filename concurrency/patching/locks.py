"""A lock that greenlets and native threads may share.

gevent's lock belongs to the first hub that waits for it: shared with a native thread, such
as those of ``offload``, it loses wake-ups. This one is a native lock that is acquired
without blocking, and a queue of waiters.
"""

from __future__ import annotations

from collections import deque
from time import monotonic

import gevent
from gevent.hub import getcurrent

from concurrency.compat.gevent import get_hub_if_exists
from concurrency.patching.turnstile import Turnstile, allocate, guard

# Seconds after which release() hands the lock to the first waiter. Before that it only
# wakes the waiter, and another caller may take the lock first: this saves a switch at each
# release. Later no caller may overtake, or a thread that takes it in a loop always would.
_STARVED = 0.005


class Lock(Turnstile):
    """Replaces ``threading.Lock``, for both greenlets and native threads."""

    __slots__ = ("_native",)

    _busy = "is held by a greenlet"

    def __init__(self) -> None:
        self._waiting = ()
        self._native = allocate()

    def __repr__(self) -> str:
        state = "locked" if self.locked() else "unlocked"
        return f"<{state} {type(self).__module__}.Lock at {id(self):#x}>"

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take the lock, like ``threading.Lock.acquire``."""
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
        """Release the lock, like ``threading.Lock.release``.

        Raises:
            RuntimeError: the lock is not held.
        """
        if self._waiting and self._hand_over():
            return
        self._native.release()
        # A waiter that queued before this point tries again; one that queues later gets it.
        if self._waiting:
            self._wake_first()

    def locked(self) -> bool:
        """Return whether the lock is held."""
        return bool(self._native.locked())

    def __enter__(self) -> bool:
        return self._native.acquire(False) or self._wait(None)

    def __exit__(self, *error: object) -> None:
        # Like release(), without another call.
        if self._waiting and self._hand_over():
            return
        self._native.release()
        if self._waiting:
            self._wake_first()

    def _is_owned(self) -> bool:
        """Tell ``threading.Condition`` what it would otherwise find out by an acquire."""
        return bool(self._native.locked())

    def _at_fork_reinit(self) -> None:
        """Reset in a child process, where there are no waiters."""
        self._native = allocate()
        self._waiting = ()

    def _try(self) -> bool:
        return bool(self._native.acquire(False))

    def _give_back(self) -> None:
        self.release()

    def _hand_over(self) -> bool:
        """Hand the lock to the first waiter if it has waited for long."""
        with guard:
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
    """Replaces the lock that ends with a thread: free as soon as it is released.

    ``threading.Thread`` requires that, and each joining thread releases it immediately.
    """

    __slots__ = ()

    def _hand_over(self) -> bool:
        return False


def _let_others_run() -> None:
    """Let the holder of a lock run, for callers that poll it."""
    hub = get_hub_if_exists()
    if hub is not None and getcurrent() is not hub:
        gevent.sleep()
