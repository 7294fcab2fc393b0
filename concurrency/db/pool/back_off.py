"""When a server that refuses connections is asked again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

# Seconds between two attempts: at first, and at most. Small, because it is also how
# long a server that is back may go unnoticed.
_BASE = 0.1
_CAP = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """A time in which a server refuses connections.

    Attributes:
        seconds: how long it has lasted.
        attempts: how many have failed.
        reason: why the last one has.
    """

    seconds: float
    attempts: int
    reason: str


class BackOff:
    """When a server that refuses is asked again.

    The pause doubles with each failure in a row and half of it is left to chance, so
    that many processes do not ask in step: "equal jitter" of Marc Brooker's
    "Exponential Backoff and Jitter" (AWS Architecture Blog, 2015). Of the variants
    there it is the one that never asks again at once.

    Args:
        clock: tells the seconds.

    Attributes:
        failures: how many have failed in a row.
        reason: why the last one has failed, None without a failure.
    """

    __slots__ = ("_clock", "_next", "_since", "failures", "reason")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.failures = 0
        self.reason: str | None = None
        self._since = self._next = 0.0

    def failed(self, error: BaseException) -> None:
        """Take note of a failure, and begin a pause."""
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
        """Return how many seconds of the pause are left, 0 without one."""
        return max(0.0, self._next - self._clock()) if self.failures else 0.0

    def outage(self) -> Outage | None:
        """Return what is known of a server that refuses, None if it does not."""
        if self.reason is None:
            return None
        seconds = self._clock() - self._since
        return Outage(seconds=seconds, attempts=self.failures, reason=self.reason)
