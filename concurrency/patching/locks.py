"""A lock that greenlets and native threads may share.

gevent's lock belongs to the hub that waits for it first: beside a native thread, as
those of ``offload``, it loses wake-ups. This one is a native lock that is only ever
tried, and a queue for those who did not get it.
"""

from __future__ import annotations

from collections import deque
from time import monotonic

import gevent
from gevent.hub import getcurrent

from concurrency.compat.gevent import get_hub_if_exists
from concurrency.patching.turnstile import Turnstile, allocate, guard

# Seconds after which the first in the queue is given the lock itself. Before, it is only
# woken, and whoever comes meanwhile may take the lock: that spares a switch at each
# release. After, nobody may pass: a thread that takes it again and again would.
_STARVED = 0.005


class Lock(Turnstile):
    """In the place of ``threading.Lock``, for greenlets and native threads alike."""

    __slots__ = ("_native",)

    _busy = "is held by a greenlet"

    def __init__(self) -> None:
        self._waiting = ()
        self._native = allocate()

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
        # As release(), without another call.
        if self._waiting and self._hand_over():
            return
        self._native.release()
        if self._waiting:
            self._wake_first()

    def _is_owned(self) -> bool:
        """Tell ``threading.Condition`` what it would find out by trying to take it."""
        return bool(self._native.locked())

    def _at_fork_reinit(self) -> None:
        """Begin anew in a child process, where nobody waits."""
        self._native = allocate()
        self._waiting = ()

    def _try(self) -> bool:
        return bool(self._native.acquire(False))

    def _give_back(self) -> None:
        self.release()

    def _hand_over(self) -> bool:
        """Give the lock to the first in the queue if it has waited for long."""
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
