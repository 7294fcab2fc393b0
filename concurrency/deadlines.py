"""Time limits that are inherited, nest, and cannot be swallowed.

``with deadline(2.5):`` throws a private ``BaseException`` into its body when the
time is up, so that no ``except Exception`` on the way stops it; only the ``with``
that expired turns it into ``DeadlineExceeded``. Everything that waits asks
``remaining()`` or is interrupted by the throw. This module knows nothing of
databases or HTTP.
"""

from __future__ import annotations

import asyncio
import math
import time
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any

import gevent
from gevent.hub import get_hub

from concurrency.errors import DeadlineExceeded
from concurrency.interruptions import Interruption

__all__ = ["deadline", "remaining"]


class _Expired(Interruption):
    """Thrown into the body of a ``deadline`` whose time is up."""


class deadline:  # noqa: N801 - reads as a verb, like contextlib's
    """Limit the time of a ``with`` block, and of everything it starts.

    The nearest of nested deadlines wins. Children inherit it. In a coroutine it cancels the
    task, as ``asyncio.timeout`` does. A block that has
    run out of time is interrupted where it waits; code that never waits cannot
    be interrupted.

    Args:
        seconds: the limit in seconds, float; None means no limit of its own. A
            limit of zero or less has expired before the block is entered.

    Raises:
        DeadlineExceeded: when the limit is reached (a ``TimeoutError``).
        ValueError: when ``seconds`` is not a number.
    """

    __slots__ = (
        "_cancelling",
        "_entered",
        "_fired",
        "_has_cancelled",
        "_outer",
        "_owner",
        "_signal",
        "_task",
        "_timer",
        "_token",
        "expires",
        "seconds",
    )

    # Whether a timer is needed although an outer deadline comes first.
    _enforces = False

    def __init__(self, seconds: float | None) -> None:
        self.seconds = math.inf if seconds is None else float(seconds)
        if math.isnan(self.seconds):
            raise ValueError("deadline: seconds must be a number, not nan")
        self._timer: Any = None
        self._token: Token[deadline | None] | None = None
        self._fired = False
        self._signal = _Expired()
        self._outer: deadline | None = None
        # The task that has entered the block, in a coroutine.
        self._task: asyncio.Task[Any] | None = None
        #: When the block has to end, on the clock of ``time.monotonic()``.
        self.expires = math.inf

    def __enter__(self) -> deadline:
        if self._token is not None:
            raise RuntimeError("this deadline is in use: make a new one for each block")
        if self.seconds <= 0:
            raise DeadlineExceeded(self.seconds)
        self._entered = time.monotonic()
        self._owner = gevent.getcurrent()
        self._task = None if asyncio._get_running_loop() is None else asyncio.current_task()
        self._has_cancelled = False
        self._cancelling = 0 if self._task is None else self._task.cancelling()
        self._outer = _current.get()
        self._fired = False
        self._schedule(self.seconds)
        self._token = _current.set(self)
        return self

    def reschedule(self, seconds: float | None) -> None:
        """Change the limit of a block that is running, counted from its beginning.

        Outer deadlines stay as they are. For the greenlet that has entered it.

        Args:
            seconds: the new limit in seconds; None means no limit of its own.
        """
        if self._token is None:
            raise RuntimeError("only a deadline whose block is running can be rescheduled")
        self.seconds = math.inf if seconds is None else float(seconds)
        self._cancel()
        self._schedule(self._entered + self.seconds - time.monotonic())

    def expire(self) -> None:
        """End a running block as if its time were up; to be called in the hub."""
        if self._token is not None and not self._fired:
            self._cancel()
            self.expires = time.monotonic()
            self._fire(self._owner)

    def _schedule(self, seconds: float) -> None:
        own = time.monotonic() + seconds
        outer = math.inf if self._outer is None else self._outer.expires
        self.expires = min(own, outer)
        # When an outer one comes first its own timer does the work.
        if self.expires != math.inf and (self._enforces or self.expires == own):
            if self._task is not None:
                loop = self._task.get_loop()
                self._timer = loop.call_later(max(0.0, seconds), self._fire, self._owner)
                return
            self._timer = get_hub().loop.timer(max(0.0, seconds))
            # From now on, not from when the hub looked at the clock: this greenlet may have
            # run for long.
            self._timer.start(self._fire, self._owner, update=True)

    def _cancel(self) -> None:
        if self._timer is not None:
            (self._timer.close if self._task is None else self._timer.cancel)()
            self._timer = None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._cancel()
        token, self._token = self._token, None
        if token is not None:
            _current.reset(token)
        if not self._fired:
            return
        if error is self._signal or self._is_own_cancel(error):
            raise DeadlineExceeded(self.seconds).with_traceback(traceback) from None
        # The body swallowed the signal, or failed while it ended. A kill or an
        # outer deadline that arrived on top of it goes on its way.
        if error is None or isinstance(error, Exception):
            raise DeadlineExceeded(self.seconds) from error

    def _fire(self, greenlet: Any) -> None:
        """Interrupt the body; runs in the hub or in the body's loop, so it is waiting."""
        self._fired = True
        if self._task is None:
            greenlet.throw(self._signal)
        else:
            # Nothing may be thrown into the greenlet: it runs the loop.
            self._task.get_loop().call_soon_threadsafe(self._cancel_task)

    def _cancel_task(self) -> None:
        if self._token is not None and self._task is not None:
            self._has_cancelled = True
            self._task.cancel()

    def _is_own_cancel(self, error: BaseException | None) -> bool:
        """Return whether this deadline, and nobody else, has cancelled the body's task."""
        if self._task is None or not self._has_cancelled:
            return False
        others = self._task.uncancel() > self._cancelling
        return isinstance(error, asyncio.CancelledError) and not others

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
