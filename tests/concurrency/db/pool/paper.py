"""A driver without a server: its connections are what a test says they are."""

from __future__ import annotations

import weakref
from typing import Any

import gevent

from concurrency.db.pool.connection import PooledConnection
from concurrency.db.pool.lease import Lease


class Paper:
    """A connection of ``PaperDriver``."""

    tainted = False
    is_beyond_reset = False

    def __init__(self) -> None:
        self.is_idle = True
        self.is_closed = False
        self.setting = "as opened"
        self.calls: list[str] = []
        self.server_cursors: list[Any] = []


class PaperDriver:
    """Follows ``concurrency.db.drivers.driver.Driver``; what ``fails`` names, raises."""

    error = LookupError

    def __init__(self, *fails: str) -> None:
        self.fails = fails

    def _call(self, raw: Paper, name: str) -> None:
        raw.calls.append(name)
        if name in self.fails:
            raise self.error(name)

    def fileno(self, raw: Paper) -> None:
        return None

    def is_closed(self, raw: Paper) -> bool:
        return raw.is_closed

    def is_clean(self, raw: Paper) -> bool:
        return raw.is_idle and not raw.is_closed

    def attributes(self, raw: Paper) -> str:
        return raw.setting

    def clean(self, raw: Paper, seconds: float) -> None:
        self._call(raw, "clean")
        raw.is_idle = True

    def close_cursor(self, cursor: Any) -> None:
        cursor.closed = True

    def reset(self, raw: Paper) -> None:
        self._call(raw, "reset")

    def ping(self, raw: Paper) -> None:
        self._call(raw, "ping")

    def close(self, raw: Paper) -> None:
        self._call(raw, "close")
        raw.is_closed = True


def connection(
    driver: Any = None, *, generation: int = 0, lifetime: float = 3600.0
) -> PooledConnection:
    """Return a connection as a pool has it."""
    return PooledConnection(
        Paper(), driver or PaperDriver(), generation=generation, lifetime=lifetime
    )


class Owner:
    """What holds leases in a test, in the place of a wrapper."""

    def __init__(self, bound: str | None = None) -> None:
        self.bound = bound
        self.reclaimed = 0

    def forsake(self) -> None: ...

    def is_shared(self) -> bool:
        return False

    def bound_by(self) -> str | None:
        return self.bound

    def reclaim(self) -> bool:
        self.reclaimed += self.bound is None
        return self.bound is None


def lease(holder: Owner, greenlet: Any = None) -> Lease:
    """Return a lease of a holder's, for the current greenlet unless another one is given."""
    return Lease(
        weakref.ref(holder), weakref.ref(gevent.getcurrent() if greenlet is None else greenlet)
    )
