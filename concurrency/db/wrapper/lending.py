"""When the lease of a wrapper may go to somebody else, and what keeps it with its greenlet.

A greenlet lends while it waits for others, and loses its lease when it is idle while
others wait. In both cases it takes another one with its next statement.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from gevent.monkey import get_original

from concurrency.db.drivers import handles
from concurrency.db.pool.connection import PooledConnection
from concurrency.db.pool.lease import Lease

native_thread = get_original("_thread", "get_ident")


class Lending(BaseDatabaseWrapper):  # type: ignore[misc]
    """Part of a pooled wrapper: decides whether its lease may be given back meanwhile."""

    _lease: Lease | None
    _leased_from: Any
    _kept: int
    _setting_up: bool
    _native: int

    @property
    def _pooled(self) -> PooledConnection | None:
        """The leased connection as the pool sees it."""
        return None if self._lease is None else self._lease.connection

    def lend(self) -> None:
        """Give the lease back while this greenlet waits, if nothing depends on it."""
        if self._lease is None:
            return
        if self._is_lendable():
            self._leave()
        else:
            self._leased_from.look_for_starvation()

    def rest(self) -> None:
        """Give the lease back when a piece of work has ended, if nothing depends on it."""
        if self._lease is not None and self._bond() is None:
            self._leave()

    def _is_lendable(self) -> bool:
        pool = self._leased_from
        return pool is not None and pool.options.lend_while_waiting and self._bond() is None

    def _bond(self) -> str | None:
        """Return why the connection belongs to this greenlet alone, None if it does not."""
        pooled = self._pooled
        if self._kept or pooled is None:
            return "keep_lease() says so"
        if self.in_atomic_block:
            return "it is inside atomic"
        if not self.autocommit:
            return "autocommit is off"
        if pooled.tainted:
            return "its session was changed, as by SET or a temporary table"
        if self.allow_thread_sharing:
            return "other threads share it"
        if pooled.has_open_cursors():
            return "a cursor on the server is open"
        if not pooled.is_at_rest():
            return "a statement or transaction goes on"
        if not pooled.is_as_it_was():
            return "the driver's connection was changed, as by an adapter"
        return None

    # Taken back from an idle greenlet

    def bound_by(self) -> str | None:
        """Return why the lease must not be taken from an idle greenlet, None if it may.

        Never waits. Called by the pool, from other greenlets and threads.
        """
        pool, pooled = self._leased_from, self._pooled
        if pool is None or pooled is None or self._setting_up:
            return "it is being set up"
        if not pool.options.lend_while_waiting:
            return "lend_while_waiting is False"
        if self._native != native_thread():
            return "it belongs to another native thread"
        return self._bond() or self._handle_of_user(pooled)

    def _handle_of_user(self, pooled: PooledConnection) -> str | None:
        """Return what user code has in its hands that would execute on this connection."""
        lease = self._lease
        assert lease is not None  # noqa: S101 - it has the connection
        raw, expected = pooled.raw, pooled.references
        if handles.count(raw) <= expected + 1:
            return None
        closed = lease.cursors.references_of_closed(raw)
        if handles.count(raw) <= expected + 1 + closed:
            return None
        return "a cursor, or the driver's connection, is still referred to"

    def reclaim(self) -> bool:
        """Give the lease back for a greenlet that is idle; it takes another when it goes on."""
        if self.bound_by() is not None:
            return False
        self._release()
        return True

    def share(self) -> None:
        """Let others execute on the connection, in turns with its owner."""
        if self._lease is not None:
            self._lease.is_shared = True

    # What binds it

    @contextmanager
    def keep(self) -> Iterator[None]:
        """Keep the lease for the length of the block; see ``keep_lease``."""
        self._kept += 1
        if self._pooled is not None:
            self._pooled.tainted = True
        try:
            yield
        finally:
            self._kept -= 1

    def _release(self) -> None:
        """Give the lease back, as the wrapper does that this is a part of."""
        raise NotImplementedError

    def _leave(self) -> None:
        """Do so as Django closes a connection."""
        raise NotImplementedError
