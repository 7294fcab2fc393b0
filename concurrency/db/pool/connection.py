"""A physical connection as a pool sees it, and how it is opened."""

from __future__ import annotations

import contextlib
import random
import time
from typing import Any, Protocol

import gevent
from django.db.utils import OperationalError

from concurrency.db.drivers.driver import Driver
from concurrency.db.drivers.handles import Guard, count

# For servers that accept a connection and never answer; seconds.
CONNECT_LIMIT = 10.0

#: Seconds for which a connection that was given back is lent without a look at its
#: socket: a server that ends the session within them would have hit a statement as well.
WARM = 0.001


class Template(Protocol):
    """Opens the connections of a pool, which are all alike."""

    def open_raw(self) -> Any:
        """Return a new connection of the driver."""

    def fingerprint(self) -> tuple[Any, ...]:
        """Return what the connections have in common."""


class PooledConnection:
    """One connection to the server, in the hands of a pool.

    Attributes:
        raw: the driver's connection.
        driver: how to handle it.
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
        "driver",
        "expires",
        "generation",
        "guard",
        "idle_since",
        "is_set_up_beyond_reset",
        "raw",
        "references",
        "set_up",
    )

    def __init__(self, raw: Any, driver: Driver, *, generation: int, lifetime: float) -> None:
        self.raw = raw
        self.driver = driver
        self.attributes = driver.attributes(raw)
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

    def is_at_rest(self) -> bool:
        """Return whether nothing goes on: it is open, idle and outside any transaction."""
        return self.driver.is_clean(self.raw)

    def is_as_it_was(self) -> bool:
        """Return whether the driver's side of the session is as set-up has left it."""
        return bool(self.driver.attributes(self.raw) == self.attributes)

    def has_open_cursors(self) -> bool:
        """Return whether a cursor on the server has rows that were not read."""
        return any(not cursor.closed for cursor in self.cursors)


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
    return PooledConnection(raw, driver, generation=generation, lifetime=lifetime)


def is_of_server(driver: Driver, error: BaseException) -> bool:
    """Return whether an attempt failed at the server or on the way there.

    Settings that cannot be right fail here, and cost the server nothing.
    """
    return isinstance(error, (driver.error, OperationalError, OSError))
