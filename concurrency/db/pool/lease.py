"""The lease of a connection: who has it, since when, and for what."""

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
    """What holds a lease on behalf of a greenlet."""

    def forsake(self) -> None:
        """Forget the lease without giving it back: it belongs to the parent process."""

    def is_shared(self) -> bool:
        """Return whether others use the connection, so that its owner may end first."""

    def owner_ended(self, greenlet: Any) -> None:
        """Give the lease back for a greenlet that has ended; called in the hub."""

    def bound_by(self) -> str | None:
        """Return why the lease must not be taken from an idle greenlet, None if it may."""

    def reclaim(self) -> bool:
        """Give the lease back for a greenlet that is idle, if nothing depends on it."""


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
        # Weak: a lease must not keep alive what it belongs to.
        self.holder = holder
        self._owner = owner
        self._activity = activity.get()
        self._place = place
        self.connection: PooledConnection | None = None
        #: When it was granted, on the monotonic clock.
        self.since = 0.0
        #: When it was first seen idle since its last statement; 0.0 if it was not.
        self.idle_since = 0.0
        #: Whether others use the connection in turns with its owner.
        self.is_shared = False
        #: The cursors of Django that were made on it.
        self.cursors = Cursors()
        #: The last statement, without its parameters.
        self.sql: str | None = None
        #: Whether it has been logged that this lease is old.
        self.was_reported = False

    def owner(self) -> Any:
        """Return the greenlet that the lease belongs to, or None when it is gone."""
        return self._owner()

    def is_open(self) -> bool:
        """Return whether other greenlets may execute on the connection, too."""
        holder = self.holder()
        return self.is_shared or (holder is not None and holder.is_shared())

    def is_orphan(self) -> bool:
        """Return whether nobody is left who could give the connection back."""
        owner, holder = self._owner(), self.holder()
        if holder is None:
            return True
        return (owner is None or owner.dead) and not holder.is_shared()

    def describe(self) -> Holder:
        """Return who holds the lease, for people to read."""
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
