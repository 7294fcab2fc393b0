"""The two ways to interrupt a block when its time is up: a hub's timer and a loop's.

A block in a greenlet is interrupted by what is thrown into the greenlet. A block in a
coroutine is interrupted by a cancellation of its task, as its greenlet runs the loop. Both
timers have the same methods, so ``deadline`` treats them alike.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from gevent import getcurrent
from gevent.hub import get_hub

from concurrency.interruptions import Interruption

__all__ = ["GreenletTimer", "TaskTimer", "Timer"]


class _Expired(Interruption):
    """Thrown into a block whose time is up."""


class Timer(Protocol):
    """Interrupts the block of the greenlet, or the task, that has made it."""

    def start(self, seconds: float, then: Callable[[], None]) -> None:
        """Call ``then()`` after a time, in the hub or in the loop."""

    def cancel(self) -> None:
        """Stop the timer, whether it was started, has fired or neither."""

    def interrupt(self) -> None:
        """Interrupt the block, which is waiting: called in the hub or in the loop."""

    def withdraw(self, error: BaseException | None) -> bool:
        """Prevent the interruption from taking effect after the block.

        Args:
            error: the exception that ends the block, if any.

        Returns:
            Whether that exception is the interruption of this timer.
        """


class GreenletTimer:
    """Throws into the current greenlet."""

    __slots__ = ("_greenlet", "_signal", "_timer")

    def __init__(self) -> None:
        self._greenlet: Any = getcurrent()
        self._timer: Any = None

    def start(self, seconds: float, then: Callable[[], None]) -> None:
        """Call ``then()`` in the hub."""
        self._timer = timer = get_hub().loop.timer(seconds if seconds > 0.0 else 0.0)
        # From now on, not from when the hub looked at the clock: this greenlet may have
        # run for long.
        timer.start(then, update=True)

    def cancel(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.close()
            self._timer = None

    def interrupt(self) -> None:
        """Throw into the greenlet; in the hub."""
        self._signal = _Expired()
        self._greenlet.throw(self._signal)

    def withdraw(self, error: BaseException | None) -> bool:
        """Return whether the block was ended by what was thrown into it."""
        return error is self._signal


class TaskTimer:
    """Cancels a task, as ``asyncio.timeout`` does.

    Args:
        task: the current one.
    """

    __slots__ = ("_cancelling", "_handle", "_has_cancelled", "_is_over", "_loop", "_task")

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self._task = task
        self._loop = task.get_loop()
        self._handle: asyncio.TimerHandle | None = None
        # Cancellations that others had requested before.
        self._cancelling = task.cancelling()
        self._has_cancelled = False
        self._is_over = False

    def start(self, seconds: float, then: Callable[[], None]) -> None:
        """Call ``then()`` in the loop."""
        self._handle = self._loop.call_later(max(0.0, seconds), then)

    def cancel(self) -> None:
        """Stop the timer."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def interrupt(self) -> None:
        """Have the loop cancel the task; from the hub or from the loop."""
        self._loop.call_soon_threadsafe(self._cancel_task)

    def _cancel_task(self) -> None:
        if not self._is_over:
            self._has_cancelled = True
            self._task.cancel()

    def withdraw(self, error: BaseException | None) -> bool:
        """Return whether the task was cancelled by this timer alone."""
        self._is_over = True
        if not self._has_cancelled:
            return False
        others = self._task.uncancel() > self._cancelling
        return isinstance(error, asyncio.CancelledError) and not others
