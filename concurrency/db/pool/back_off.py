"""Opening connections for a pool: within a limit of time, and not too often.

It owns when a server that refused is asked again. It knows nothing of who waits.
"""

from __future__ import annotations

import random
import time
from typing import Any, Protocol

import gevent
from django.db.utils import OperationalError

from concurrency.db.drivers.driver import Driver
from concurrency.db.pool.connection import PooledConnection

# For servers that accept a connection and never answer; seconds.
CONNECT_LIMIT = 10.0

# Seconds between two attempts: at first, and at most. Small, because it is also how
# long a server that is back may go unnoticed.
_BASE = 0.1
_CAP = 1.0


class Template(Protocol):
    """Opens the connections of a pool, which are all alike."""

    def open_raw(self) -> Any:
        """Return a new connection of the driver."""

    def fingerprint(self) -> tuple[Any, ...]:
        """Return what the connections have in common."""


def open_connection(
    template: Template, driver: Driver, generation: int, lifetime: float
) -> PooledConnection:
    """Return a new connection.

    Args:
        template: opens it.
        driver: knows what belongs to it.
        generation: of the pool at this moment.
        lifetime: seconds for which it may be used.

    Raises:
        OperationalError: the server has not answered in time.
        Exception: what the driver raised.
    """
    late = OperationalError(f"no connection to the server within {CONNECT_LIMIT:g} s")
    with gevent.Timeout(CONNECT_LIMIT, late):
        raw = template.open_raw()
    attributes = driver.attributes(raw)
    return PooledConnection(raw, attributes, generation=generation, lifetime=lifetime)


def is_of_server(driver: Driver, error: BaseException) -> bool:
    """Return whether an attempt failed at the server or on the way there.

    Settings that cannot be right fail here, and cost the server nothing.
    """
    return isinstance(error, (driver.error, OperationalError, OSError))


class BackOff:
    """When a server that refuses is asked again.

    The pause doubles with each failure in a row and half of it is left to chance, so
    that many processes do not ask in step: "equal jitter" of Marc Brooker's
    "Exponential Backoff and Jitter" (AWS Architecture Blog, 2015). Of the variants
    there it is the one that never asks again at once.

    Attributes:
        failures: how many have failed in a row.
        reason: why the last one has failed, None without a failure.
    """

    __slots__ = ("_next", "_since", "failures", "reason")

    def __init__(self) -> None:
        self.failures = 0
        self.reason: str | None = None
        self._since = self._next = 0.0

    def failed(self, error: BaseException) -> None:
        """Take note of a failure, and begin a pause."""
        now = time.monotonic()
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
        return max(0.0, self._next - time.monotonic()) if self.failures else 0.0

    def age(self) -> float:
        """Return for how many seconds the server has refused, 0 when it does not."""
        return time.monotonic() - self._since if self.failures else 0.0
