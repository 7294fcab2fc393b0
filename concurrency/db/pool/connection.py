"""A physical connection of a pool, and how it is opened."""

from __future__ import annotations

import contextlib
import random
import time
from typing import Any, Protocol

import gevent
from django.db.utils import OperationalError

from concurrency.db.drivers.driver import Driver
from concurrency.db.drivers.handles import Guard, count

# Limit for servers that accept a connection and never respond; seconds.
CONNECT_LIMIT = 10.0

#: Seconds for which a connection that was given back is leased without a check of its
#: socket: a server that ends the session in this time could have hit a statement as well.
WARM = 0.001


class Template(Protocol):
    """Opens the connections of a pool, all with the same parameters."""

    def open_raw(self) -> Any:
        """Return a new connection of the driver."""

    def fingerprint(self) -> tuple[Any, ...]:
        """Return what the connections have in common."""


class PooledConnection:
    """One connection to the server, managed by a pool.

    Attributes:
        raw: the driver's connection.
        driver: operates on ``raw``.
        guard: refuses handles of earlier leases.
        generation: the pool's generation when it was opened; an older one is not reused.
        expires: end of its lifetime, on the monotonic clock.
        idle_since: when it was last given back, on the monotonic clock.
        configured: whether the session has been set up for Django.
        set_up: what a third-party backend, or receivers of ``connection_created``, have
            changed in the session for the last holder.
        is_set_up_beyond_reset: whether a reset cannot undo all of that.
        references: number of references to ``raw`` while a wrapper has it and user code
            does not; see ``handles``.
        cursors: the server-side cursors that the holder has opened.
        attributes: the client side of the session, kept by the driver; if a holder
            changes it, the connection is closed.
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
        # Up to 10 % shorter, so that connections opened together do not expire together.
        self.expires = now + lifetime * random.uniform(0.9, 1.0)  # noqa: S311 - no secret
        self.idle_since = now
        self.configured = False
        self.set_up: frozenset[str | None] = frozenset()
        self.is_set_up_beyond_reset = False
        self.references = 0
        self.guard = Guard()
        with contextlib.suppress(AttributeError):  # the user's own class, without attributes
            raw.guard = self.guard
        # Changes made while it was opened are part of its initial state.
        raw.tainted = raw.is_beyond_reset = False
        # Strong references: a cursor that the user has dropped is still open on the server.
        self.cursors: list[Any] = getattr(raw, "server_cursors", [])

    @property
    def tainted(self) -> bool:
        """Whether a holder may have changed the session, as the driver's connection detects."""
        return bool(self.raw.tainted)

    @tainted.setter
    def tainted(self, value: bool) -> None:
        self.raw.tainted = value

    def must_be_reset(self) -> None:
        """Require a reset before the next use, to undo what set-up has changed."""
        self.raw.tainted = True
        self.raw.is_beyond_reset |= self.is_set_up_beyond_reset

    def was_reset(self) -> None:
        """Record that the session is as it was when the connection was opened."""
        self.tainted = self.configured = False
        self.set_up = frozenset()

    def was_given_back(self) -> None:
        """Record the end of a lease, and whether handles have outlived it."""
        self.guard.lease = None
        # The wrapper's own reference is already gone.
        self.guard.is_wanted = 0 < self.references <= count(self.raw)

    def is_at_rest(self) -> bool:
        """Return whether it is open, idle and outside any transaction."""
        return self.driver.is_clean(self.raw)

    def is_as_it_was(self) -> bool:
        """Return whether the client side of the session is as set-up left it."""
        return bool(self.driver.attributes(self.raw) == self.attributes)

    def has_open_cursors(self) -> bool:
        """Return whether a server-side cursor is still open."""
        return any(not cursor.closed for cursor in self.cursors)


def open_connection(
    template: Template, driver: Driver, generation: int, lifetime: float
) -> PooledConnection:
    """Return a new connection.

    Args:
        template: opens it.
        driver: operates on it.
        generation: the pool's current generation.
        lifetime: seconds for which it may be used.

    Raises:
        OperationalError: the server did not respond within ``CONNECT_LIMIT``.
        Exception: what the driver raised.
    """
    late = OperationalError(f"no connection to the server within {CONNECT_LIMIT:g} s")
    with gevent.Timeout(CONNECT_LIMIT, late):
        raw = template.open_raw()
    return PooledConnection(raw, driver, generation=generation, lifetime=lifetime)


def is_of_server(driver: Driver, error: BaseException) -> bool:
    """Return whether an attempt failed at the server or on the way to it.

    Invalid settings fail in this process, and cost the server nothing.
    """
    return isinstance(error, (driver.error, OperationalError, OSError))
