"""The lease of a connection: its owner, its start, and its last statement."""

from __future__ import annotations

import time
import weakref
from typing import Any, Protocol

from concurrency.context import activity
from concurrency.db.drivers.handles import Cursors
from concurrency.db.errors import Holder
from concurrency.db.pool.connection import PooledConnection
from concurrency.tasks.names import name_of


class Holding(Protocol):
    """An object that holds a lease on behalf of a greenlet."""

    def forsake(self) -> None:
        """Forget the lease without giving it back: it belongs to the parent process."""

    def is_shared(self) -> bool:
        """Return whether other greenlets use the connection, so that its owner may end first."""

    def owner_ended(self, greenlet: Any) -> None:
        """Give the lease back for a greenlet that has ended; called in the hub."""

    def bound_by(self) -> str | None:
        """Return why the pool must not take the lease from an idle greenlet, None if it may."""

    def reclaim(self) -> bool:
        """Give the lease of an idle greenlet back, if nothing depends on it; return whether."""


class Lease:
    """The right of one greenlet to one connection of a pool.

    While ``connection`` is None the lease waits in the pool's queue.
    """

    __slots__ = (
        "_activity",
        "_owner",
        "_place",
        "connection",
        "cursors",
        "holder",
        "idle_since",
        "is_shared",
        "since",
        "sql",
        "was_reported",
    )

    def __init__(
        self, holder: weakref.ref[Holding], owner: weakref.ref[Any], place: str | None = None
    ) -> None:
        # Weak references: a lease must not keep its holder or its owner alive.
        self.holder = holder
        self._owner = owner
        self._activity = activity.get()
        self._place = place
        self.connection: PooledConnection | None = None
        #: When it was granted, on the monotonic clock.
        self.since = 0.0
        #: When it was first found idle after its last statement; 0.0 if it is not idle.
        self.idle_since = 0.0
        #: Whether other greenlets and its owner take turns on the connection.
        self.is_shared = False
        #: The cursors that Django has made on it.
        self.cursors = Cursors()
        #: The last statement, without its parameters.
        self.sql: str | None = None
        #: Whether the warning about its age has been logged.
        self.was_reported = False

    def owner(self) -> Any:
        """Return the greenlet that owns the lease, None if it no longer exists."""
        return self._owner()

    def is_open(self) -> bool:
        """Return whether other greenlets can execute on the connection too."""
        holder = self.holder()
        return self.is_shared or (holder is not None and holder.is_shared())

    def is_orphan(self) -> bool:
        """Return whether no greenlet is left that could give the connection back."""
        owner, holder = self._owner(), self.holder()
        if holder is None:
            return True
        return (owner is None or owner.dead) and not holder.is_shared()

    def describe(self) -> Holder:
        """Return a readable description of the holder."""
        now, holder = time.monotonic(), self.holder()
        return Holder(
            greenlet=name_of(self._owner()),
            seconds=now - self.since,
            idle=now - self.idle_since if self.idle_since else 0.0,
            kept=holder.bound_by() if self.idle_since and holder is not None else None,
            activity=self._activity,
            sql=self.sql,
            place=self._place,
        )

    def __repr__(self) -> str:
        return f"<Lease of {self.describe()}>"
