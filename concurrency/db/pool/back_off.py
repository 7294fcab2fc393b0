"""The pause before the next attempt to connect to a server that refuses connections."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

# Seconds between two attempts: the first and the longest pause. Short, because a server
# that is back can go unnoticed for that long.
_BASE = 0.1
_CAP = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """A period in which a server refuses connections.

    Attributes:
        seconds: how long it has lasted, in seconds.
        attempts: how many attempts to connect have failed.
        reason: why the last attempt failed.
    """

    seconds: float
    attempts: int
    reason: str


class BackOff:
    """Decides when to try a server again that refuses connections.

    The pause doubles with each consecutive failure, and half of it is random, so that
    many processes do not retry in step. This is "equal jitter" from Marc Brooker's
    "Exponential Backoff and Jitter" (AWS Architecture Blog, 2015), the variant there
    that never retries immediately.

    Args:
        clock: returns the time in seconds.

    Attributes:
        failures: number of consecutive failures.
        reason: why the last attempt failed, None without a failure.
    """

    __slots__ = ("_clock", "_next", "_since", "failures", "reason")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.failures = 0
        self.reason: str | None = None
        self._since = self._next = 0.0

    def failed(self, error: BaseException) -> None:
        """Record a failure and begin a pause."""
        now = self._clock()
        if not self.failures:
            self._since = now
        pause = min(_CAP, _BASE * 2.0 ** min(self.failures, 10))
        self._next = now + pause / 2 + random.uniform(0, pause / 2)  # noqa: S311 - no secret
        self.failures += 1
        self.reason = " ".join(str(error).split())

    def succeeded(self) -> None:
        """Forget the failures."""
        self.failures = 0
        self.reason = None

    def left(self) -> float:
        """Return how many seconds of the pause are left, 0.0 if there is none."""
        return max(0.0, self._next - self._clock()) if self.failures else 0.0

    def outage(self) -> Outage | None:
        """Return the current outage, None if the server accepts connections."""
        if self.reason is None:
            return None
        seconds = self._clock() - self._since
        return Outage(seconds=seconds, attempts=self.failures, reason=self.reason)
