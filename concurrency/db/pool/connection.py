"""A physical connection as a pool sees it, and the lease of its holder."""

from __future__ import annotations

import contextlib
import random
import time
import weakref
from typing import Any, Protocol

from concurrency.context import activity
from concurrency.db.drivers.handles import Cursors, Guard, count
from concurrency.db.errors import Holder
from concurrency.tasks.names import name_of


class Holding(Protocol):
    """What holds a lease on behalf of a greenlet."""

    def forsake(self) -> None:
        """Forget the lease without giving it back: it belongs to the parent process."""

    def is_shared(self) -> bool:
        """Return whether others use the connection, so that its owner may end first."""

    def bound_by(self) -> str | None:
        """Return why the lease must not be taken from an idle greenlet, None if it may."""

    def reclaim(self) -> bool:
        """Give the lease back for a greenlet that is idle, if nothing depends on it."""


class PooledConnection:
    """One connection to the server, in the hands of a pool.

    Attributes:
        raw: the driver's connection.
        guard: refuses handles of earlier leases.
        generation: of the pool when it was opened; an older one is not reused.
        expires: when it has lived long enough, on the monotonic clock.
        idle_since: when it was last given back, on the monotonic clock.
        configured: whether the session has been set up for use by Django.
        set_up: what a backend of somebody else, or receivers of ``connection_created``, have
            changed in the session for the last holder.
        is_set_up_beyond_reset: whether no reset undoes all of that.
        references: how many there are to ``raw`` while a wrapper has it and user code
            does not; see ``handles``.
        cursors: those that the holder has opened on the server.
        attributes: what the driver keeps on its side of the session; a holder who
            changes it gets the connection closed.
    """

    __slots__ = (
        "attributes",
        "configured",
        "cursors",
        "expires",
        "generation",
        "guard",
        "idle_since",
        "is_set_up_beyond_reset",
        "raw",
        "references",
        "set_up",
    )

    def __init__(self, raw: Any, attributes: Any, *, generation: int, lifetime: float) -> None:
        self.raw = raw
        self.attributes = attributes
        self.generation = generation
        now = time.monotonic()
        # Up to a tenth shorter, so that those opened together do not end together.
        self.expires = now + lifetime * random.uniform(0.9, 1.0)  # noqa: S311 - no secret
        self.idle_since = now
        self.configured = False
        self.set_up: frozenset[str | None] = frozenset()
        self.is_set_up_beyond_reset = False
        self.references = 0
        self.guard = Guard()
        with contextlib.suppress(AttributeError):  # a class of the user's, without attributes
            raw.guard = self.guard
        # Whatever opening it has done belongs to it.
        raw.tainted = raw.is_beyond_reset = False
        # Not weak: one that was thrown away is still open on the server.
        self.cursors: list[Any] = getattr(raw, "server_cursors", [])

    @property
    def tainted(self) -> bool:
        """Whether a holder may have changed the session; the driver's connection notices it."""
        return bool(self.raw.tainted)

    @tainted.setter
    def tainted(self, value: bool) -> None:
        self.raw.tainted = value

    def must_be_reset(self) -> None:
        """Have whatever set-up has changed in the session undone before it is used again."""
        self.raw.tainted = True
        self.raw.is_beyond_reset |= self.is_set_up_beyond_reset

    def was_reset(self) -> None:
        """Take note that the session is as it was when the connection was opened."""
        self.tainted = self.configured = False
        self.set_up = frozenset()

    def was_given_back(self) -> None:
        """Take note of the end of a lease, and of handles that have outlived it."""
        self.guard.lease = None
        # Without that of the wrapper.
        self.guard.is_wanted = 0 < self.references <= count(self.raw)

    def has_open_cursors(self) -> bool:
        """Return whether a cursor on the server has rows that were not read."""
        return any(not cursor.closed for cursor in self.cursors)


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
