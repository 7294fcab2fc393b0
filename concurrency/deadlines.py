"""Time limits that are inherited, nest, and cannot be swallowed.

``with deadline(2.5):`` throws an ``Interruption`` into its body when the time is up,
so that no ``except Exception`` on the way stops it; only the ``with`` that expired
turns it into ``DeadlineExceeded``. Everything that waits asks ``remaining()`` or is
interrupted. This module does not depend on databases or HTTP.
"""

from __future__ import annotations

import asyncio
import math
import time
from contextvars import ContextVar, Token
from types import TracebackType

from concurrency.compat.asyncio import running_loop
from concurrency.errors import DeadlineExceeded
from concurrency.timers import GreenletTimer, TaskTimer, Timer

__all__ = ["deadline", "inherited_deadline", "remaining"]


class deadline:  # noqa: N801 - reads as a verb, like contextlib's
    """Limit the time of a ``with`` block, and of everything it starts.

    The nearest of nested deadlines wins. Children inherit it. In a coroutine it cancels the
    task, as ``asyncio.timeout`` does. A block that has run out of time is interrupted where
    it waits; code that never waits cannot be interrupted.

    Args:
        seconds: the limit in seconds, float; None means no limit of its own. A
            limit of zero or less has expired before the block is entered.

    Raises:
        DeadlineExceeded: when the limit is reached (a ``TimeoutError``).
        ValueError: when ``seconds`` is not a number.
    """

    __slots__ = ("_entered", "_fired", "_outer", "_timer", "_token", "expires", "seconds")

    # Whether a timer is needed although an outer deadline comes first.
    _enforces = False

    _timer: Timer

    def __init__(self, seconds: float | None) -> None:
        self.seconds = math.inf if seconds is None else float(seconds)
        if math.isnan(self.seconds):
            raise ValueError("deadline: seconds must be a number, not nan")
        self._token: Token[deadline | None] | None = None
        #: When the block has to end, on the clock of ``time.monotonic()``.
        self.expires = math.inf

    def __enter__(self) -> deadline:
        if self._token is not None:
            raise RuntimeError("this deadline is in use: make a new one for each block")
        if self.seconds <= 0:
            raise DeadlineExceeded(self.seconds)
        task = None if running_loop() is None else asyncio.current_task()
        self._timer = GreenletTimer() if task is None else TaskTimer(task)
        self._entered = now = time.monotonic()
        self._outer = _current.get()
        self._fired = False
        self._schedule(now, self.seconds)
        self._token = _current.set(self)
        return self

    def reschedule(self, seconds: float | None) -> None:
        """Change the limit of a block that is running, counted from its beginning.

        Outer deadlines are not changed. Call it in the greenlet that has entered the block.

        Args:
            seconds: the new limit in seconds; None means no limit of its own.
        """
        if self._token is None:
            raise RuntimeError("only a deadline whose block is running can be rescheduled")
        self.seconds = math.inf if seconds is None else float(seconds)
        self._timer.cancel()
        now = time.monotonic()
        self._schedule(now, self._entered + self.seconds - now)

    def expire(self) -> None:
        """End a running block as if its time were up. Call it in the hub."""
        if self._token is not None and not self._fired:
            self._timer.cancel()
            self.expires = time.monotonic()
            self._fire()

    def _schedule(self, now: float, seconds: float) -> None:
        own = now + seconds
        outer = math.inf if self._outer is None else self._outer.expires
        self.expires = own if own < outer else outer
        # When an outer one comes first its own timer does the work.
        if self.expires != math.inf and (self._enforces or self.expires == own):
            self._timer.start(seconds, self._fire)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        token, self._token = self._token, None
        if token is not None:
            _current.reset(token)
        if not self._fired:
            return
        if self._timer.withdraw(error):
            raise DeadlineExceeded(self.seconds).with_traceback(traceback) from None
        # The body swallowed the interruption, or failed while it ended. A kill or an
        # outer deadline that arrived on top of it goes on its way.
        if error is None or isinstance(error, Exception):
            raise DeadlineExceeded(self.seconds) from error

    def _fire(self) -> None:
        self._fired = True
        self._timer.interrupt()

    def __repr__(self) -> str:
        left = self.expires - time.monotonic()
        return f"<deadline of {self.seconds:g} s, {left:.3f} s left>"


class inherited_deadline(deadline):  # noqa: N801 - as above
    """Keep the deadline of the parent in a greenlet that may outlive it.

    The parent's timer interrupts the parent alone. Tasks need no timer of their
    own: the parent that waits for them cancels them.
    """

    __slots__ = ()
    _enforces = True

    def __init__(self) -> None:
        super().__init__(remaining())


_current: ContextVar[deadline | None] = ContextVar("concurrency.deadline", default=None)


def remaining() -> float | None:
    """Return the seconds left until the nearest deadline, or None without one.

    Returns:
        Seconds as a float, zero when the time is up; None when no limit applies.
    """
    nearest = _current.get()
    if nearest is None or nearest.expires == math.inf:
        return None
    return max(0.0, nearest.expires - time.monotonic())
