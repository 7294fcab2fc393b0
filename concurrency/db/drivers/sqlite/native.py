"""A native thread that makes calls for greenlets, one after the other.

For libraries in C that block: the greenlet waits on its hub, the thread in the
call. It knows nothing of databases.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar, cast

from gevent.hub import Waiter, get_hub
from gevent.monkey import get_original

from concurrency.patching import signals

T = TypeVar("T")

_start_new_thread = get_original("_thread", "start_new_thread")
_get_ident = get_original("_thread", "get_ident")
_RLock = get_original("_thread", "RLock")
_SimpleQueue = get_original("queue", "SimpleQueue")

# Seconds after which a call that has not ended is interrupted again: one that had
# not yet begun its work in C did not notice.
_INTERRUPT_AGAIN = 0.01


class Interruptible(Protocol):
    """What a call works on."""

    def interrupt(self) -> None:
        """Make the running call end soon. Must not wait; called in any thread."""

    def call_ended(self, stopped: bool) -> None:
        """Look at what a call has left behind; called in the native thread.

        Args:
            stopped: whether the call was interrupted. No interruption follows.
        """


class _Call:
    """One call: where it stands, and what became of it."""

    __slots__ = ("cancelled", "done", "error", "fn", "on", "started", "stopped", "value", "waking")

    def __init__(self, fn: Callable[[], Any], on: Interruptible | None) -> None:
        self.fn: Callable[[], Any] | None = fn
        self.on = on
        self.started = self.done = False
        self.cancelled = self.stopped = False
        self.value: Any = None
        self.error: BaseException | None = None
        # Watchers of those who wait for the end.
        self.waking: list[Any] = []

    def outcome(self) -> Any:
        """Return what the call has returned, or raise what it raised; once."""
        error, self.error = self.error, None
        if error is not None:
            try:
                raise error
            finally:
                # Or the error and this frame would keep each other.
                del error
        return self.value


class NativeThread:
    """One native thread, which ends with ``end()``."""

    def __init__(self) -> None:
        # Reentrant, because the garbage collector may run a finaliser that posts.
        self._lock = _RLock()
        self._queue: Any = _SimpleQueue()
        self._current: _Call | None = None
        self._given_up: _Call | None = None
        self._unfinished = 0
        self._pid = os.getpid()
        self._is_alive = True
        self._ident = _start_new_thread(self._serve, ())

    # For greenlets

    def run(
        self,
        fn: Callable[[], T],
        on: Interruptible | None = None,
        *,
        grace: float = 0.0,
        budget: float = 0.0,
        whole: bool = False,
    ) -> T:
        """Return what ``fn()`` returns in the native thread; other greenlets go on.

        A greenlet that is killed meanwhile has the call stopped: one that waits in
        the queue is not made, a running one is interrupted.

        Args:
            fn: what to call.
            on: what the call works on, to interrupt it.
            grace: seconds that a running call gets to end before it is interrupted.
            budget: seconds that a killed greenlet waits for the interrupted call.
            whole: whether the call has to be made, also when it still waits in the queue.

        Raises:
            BaseException: what the call raised, or what the greenlet was killed with.
        """
        if self.is_current():
            return fn()
        call = self._submit(fn, on)
        try:
            self._wait(call)
        except BaseException:
            self._stop(call, grace, budget, whole)
            raise
        return cast("T", call.outcome())

    def post(self, fn: Callable[[], Any]) -> Callable[[], None]:
        """Have ``fn()`` called, whatever happens to the caller; never waits.

        Returns:
            A function that waits for the end of the call.
        """
        call = self._submit(fn, None)
        return lambda: self._wait(call)

    def stop(self, seconds: float) -> bool:
        """Interrupt the running call; return whether all calls have ended in time."""
        last = self._submit(lambda: None, None)
        end = time.monotonic() + seconds
        while not last.done and time.monotonic() < end:
            self.interrupt()
            self._wait(last, _INTERRUPT_AGAIN)
        return last.done

    def interrupt(self) -> None:
        """Interrupt the running call; never waits."""
        with self._lock:
            if self._current is not None:
                self._interrupt(self._current)

    def end(self) -> None:
        """Let the thread end when everything before is done; never waits."""
        self._queue.put(None)

    def is_busy(self) -> bool:
        """Return whether a call runs or waits to."""
        return self._unfinished > 0

    def is_stuck(self) -> bool:
        """Return whether a call that somebody was killed in goes on beyond its budget."""
        return self._given_up is not None and not self._given_up.done

    def is_alive(self) -> bool:
        """Return whether the thread has not ended."""
        return self._is_alive

    def is_current(self) -> bool:
        """Return whether the caller is in this thread."""
        return bool(_get_ident() == self._ident)

    def is_stopped(self) -> bool:
        """Return whether the running call ought to end; for the call itself."""
        return self._current is not None and self._current.stopped

    def _submit(self, fn: Callable[[], Any], on: Interruptible | None) -> _Call:
        if os.getpid() != self._pid:
            raise RuntimeError("this connection belongs to the parent process: open another")
        call = _Call(fn, on)
        with self._lock:
            self._unfinished += 1
            self._queue.put(call)
        return call

    def _wait(self, call: _Call, seconds: float | None = None) -> None:
        """Wait for the end of a call, or until the time is over."""
        hub = get_hub()
        waiter: Any = Waiter(hub)
        watcher = hub.loop.async_()
        watcher.start(waiter.switch, None)
        try:
            with self._lock:
                if call.done:
                    return
                call.waking.append(watcher)
            signals.get(waiter, seconds)
        finally:
            with self._lock:
                if watcher in call.waking:
                    call.waking.remove(watcher)
            watcher.stop()
            watcher.close()

    def _stop(self, call: _Call, grace: float, budget: float, whole: bool) -> None:
        with self._lock:
            if not (call.started or whole):
                call.cancelled = True
                return
        # Another kill has to wait until this is done, or nobody would do it.
        another: BaseException | None = None
        now = time.monotonic()
        gentle, end = now + grace, now + grace + budget
        while not call.done and now < end:
            try:
                if now < gentle:
                    self._wait(call, gentle - now)
                else:
                    self._interrupt(call)
                    self._wait(call, _INTERRUPT_AGAIN)
            except BaseException as error:  # noqa: BLE001 - raised below
                another = error
            now = time.monotonic()
        if not call.done:
            self._given_up = call
        if another is not None:
            raise another

    def _interrupt(self, call: _Call) -> None:
        # Under the lock: the call that runs must be this one, not the next.
        with self._lock:
            if call is self._current:
                call.stopped = True
                if call.on is not None:
                    call.on.interrupt()

    # In the thread

    def _serve(self) -> None:
        if (trace := threading.gettrace()) is not None:
            sys.settrace(trace)  # debuggers and coverage expect it of every thread
        while self._next():
            pass
        self._is_alive = False

    def _next(self) -> bool:
        """Make one call; a frame of its own, so that nothing of it is kept after it."""
        call: _Call | None = self._queue.get()
        if call is None:
            return False
        with self._lock:
            if not call.cancelled:
                call.started = True
                self._current = call
        if call.started:
            self._make(call)
        with self._lock:
            call.fn = call.on = None
            call.done = True
            self._unfinished -= 1
            for watcher in call.waking:
                watcher.send()
        return True

    def _make(self, call: _Call) -> None:
        assert call.fn is not None  # noqa: S101 - only cleared afterwards
        try:
            call.value = call.fn()
        except BaseException as error:  # noqa: BLE001 - raised in the greenlet that waits
            call.error = error
        with self._lock:
            self._current = None
        try:
            if call.on is not None:
                call.on.call_ended(call.stopped)
        except BaseException as error:  # noqa: BLE001 - raised in the greenlet that waits
            call.error = call.error or error
