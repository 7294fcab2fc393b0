"""A native thread that makes calls for greenlets, one after the other.

For C libraries that block: the greenlet waits on its hub, the thread blocks in the call.
Does not depend on databases.
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

# Seconds after which a call that has not ended is interrupted again: a call that has not
# entered C yet misses the interrupt.
_INTERRUPT_AGAIN = 0.01


class Interruptible(Protocol):
    """The object that a call works on."""

    def interrupt(self) -> None:
        """Make the running call end soon. Must not wait; called in any thread."""

    def call_ended(self, stopped: bool) -> None:
        """Clean up after a call; called in the native thread.

        Args:
            stopped: whether the call was interrupted. No interrupt follows.
        """


class _Call:
    """One call: its state and its outcome."""

    __slots__ = ("cancelled", "done", "error", "fn", "on", "started", "stopped", "value", "waking")

    def __init__(self, fn: Callable[[], Any], on: Interruptible | None) -> None:
        self.fn: Callable[[], Any] | None = fn
        self.on = on
        self.started = self.done = False
        self.cancelled = self.stopped = False
        self.value: Any = None
        self.error: BaseException | None = None
        # Watchers of the greenlets that wait for the end.
        self.waking: list[Any] = []

    def outcome(self) -> Any:
        """Return what the call returned, or raise what it raised; call it once."""
        error, self.error = self.error, None
        if error is not None:
            try:
                raise error
            finally:
                # Breaks the reference cycle between the error and this frame.
                del error
        return self.value


class NativeThread:
    """One native thread, which ends with ``end()``."""

    def __init__(self) -> None:
        # Reentrant, because the garbage collector can run a finaliser that posts.
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

        If the greenlet is killed in the meantime, a queued call is dropped and a running
        call is interrupted.

        Args:
            fn: the function to call.
            on: the object that the call works on, to interrupt it.
            grace: seconds for a running call to end before it is interrupted.
            budget: seconds that a killed greenlet waits for the interrupted call.
            whole: whether the call must be made even if it is still queued at the kill.

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
        """Queue a call of ``fn()``, which a kill of the caller does not cancel; never waits.

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
        """End the thread after all queued calls; never waits."""
        self._queue.put(None)

    def is_busy(self) -> bool:
        """Return whether a call runs or is queued."""
        return self._unfinished > 0

    def is_stuck(self) -> bool:
        """Return whether a call of a killed greenlet still runs after its budget."""
        return self._given_up is not None and not self._given_up.done

    def is_alive(self) -> bool:
        """Return whether the thread runs."""
        return self._is_alive

    def is_current(self) -> bool:
        """Return whether the caller is in this thread."""
        return bool(_get_ident() == self._ident)

    def is_stopped(self) -> bool:
        """Return whether the running call should end; for the call itself."""
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
        """Wait for the end of a call, or until the time is up."""
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
        # Another kill waits until this is done, or the call would not be stopped.
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
        # Under the lock: the running call must be this one, not the next.
        with self._lock:
            if call is self._current:
                call.stopped = True
                if call.on is not None:
                    call.on.interrupt()

    # In the thread

    def _serve(self) -> None:
        if (trace := threading.gettrace()) is not None:
            sys.settrace(trace)  # debuggers and coverage expect it in every thread
        while self._next():
            pass
        self._is_alive = False

    def _next(self) -> bool:
        """Make one call, in a frame of its own so that no reference outlives it."""
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
        assert call.fn is not None  # noqa: S101 - cleared only afterwards
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
