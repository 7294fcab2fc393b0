"""The lease of a wrapper: its pool, the greenlet that owns it, and what binds the two.

Does not depend on Django. A wrapper has one ``Leasing`` for its whole life.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gevent import Greenlet, getcurrent
from gevent.monkey import get_original

from concurrency.db.drivers import handles
from concurrency.db.pool.connection import PooledConnection
from concurrency.db.pool.lease import Holding, Lease
from concurrency.db.pool.pool import Pool
from concurrency.db.wrapper import fan_out_in_atomic

_native_thread = get_original("_thread", "get_ident")


class Leasing:
    """The lease of one wrapper, if it has one, and the pool that it is from.

    Args:
        holder: the wrapper. A weak reference: a cycle would live until the next collection.

    Attributes:
        lease: the lease, None while there is none.
        pool: the pool of the current or last lease; None if its session could not be set up.
        kept: number of ``keep()`` blocks that are open.
    """

    __slots__ = ("_holder", "_home", "_linked_to", "_native", "kept", "lease", "pool")

    def __init__(self, holder: Holding) -> None:
        self.lease: Lease | None = None
        self.pool: Pool | None = None
        self.kept = 0
        self._holder = weakref.ref(holder)
        self._home = weakref.ref(getcurrent())
        self._linked_to: weakref.ref[Any] | None = None
        self._native = 0

    @property
    def connection(self) -> PooledConnection | None:
        """The leased connection as the pool sees it, None without a lease."""
        return None if self.lease is None else self.lease.connection

    # Taking and giving back

    def take(self, pool: Pool) -> PooledConnection:
        """Take a lease for the current greenlet, and return its connection.

        Raises:
            PoolTimeout: no connection was free in time, or too many greenlets wait.
            Exception: what opening a connection raised.
        """
        home = self._home
        owner = home if home() is getcurrent() else self._owner()
        self.lease = lease = pool.lease(self._holder, owner)
        self.pool = pool
        if owner is not self._linked_to:
            self._link(owner)
        connection = lease.connection
        assert connection is not None  # noqa: S101 - a lease that was granted has one
        return connection

    def give_back(self, *, fit: bool = True) -> None:
        """End the lease; without one, do nothing. Never waits.

        Args:
            fit: False closes the connection in any state.
        """
        lease, self.lease = self.lease, None
        if lease is not None and self.pool is not None:
            self.pool.give_back(lease, fit=fit)

    def link(self) -> None:
        """Notify the holder when the current greenlet ends, normally or not."""
        owner = self._owner()
        if owner is not self._linked_to:
            self._link(owner)

    def _owner(self) -> weakref.ref[Any]:
        """Return a reference to the greenlet that owns a lease: usually the current one.

        If the wrapper is shared, its home greenlet owns the lease: that greenlet goes on
        using the connection when the sharing, and the current greenlet, have ended.
        """
        current, home, holder = getcurrent(), self._home(), self._holder()
        is_shared = home is not None and holder is not None and holder.is_shared()
        return self._home if home is current or is_shared else weakref.ref(current)

    def _link(self, owner: weakref.ref[Any]) -> None:
        greenlet, holder = owner(), self._holder()
        if isinstance(greenlet, Greenlet) and holder is not None:
            greenlet.rawlink(holder.owner_ended)
        self._linked_to = owner
        self._native = _native_thread()
        fan_out_in_atomic.remember(holder)

    # What binds it

    @contextmanager
    def keep(self) -> Iterator[None]:
        """Keep the lease for the length of the block; see ``keep_lease``."""
        self.kept += 1
        if (connection := self.connection) is not None:
            connection.tainted = True
        try:
            yield
        finally:
            self.kept -= 1

    def is_lendable(self) -> bool:
        """Return whether the pool takes connections back while their greenlets wait."""
        return self.pool is not None and self.pool.options.lend_while_waiting

    def bond(self) -> str | None:
        """Return why only this holder can use the session, None if any holder could."""
        connection = self.connection
        if self.kept or connection is None:
            return "keep_lease() says so"
        if connection.tainted:
            return "its session was changed, as by SET or a temporary table"
        if connection.has_open_cursors():
            return "a cursor on the server is open"
        if not connection.is_at_rest():
            return "a statement or transaction goes on"
        if not connection.is_as_it_was():
            return "the driver's connection was changed, as by an adapter"
        return None

    def bond_of_idle(self) -> str | None:
        """Return what else binds the lease of an idle greenlet, None if nothing does.

        Never waits. The pool calls it from other greenlets and threads.
        """
        if self.lease is None or self.pool is None:
            return "it is being set up"
        if not self.pool.options.lend_while_waiting:
            return "lend_while_waiting is False"
        if self._native != _native_thread():
            return "it belongs to another native thread"
        return None

    def handle_of_user(self) -> str | None:
        """Return which handle user code holds that could execute on the connection, or None."""
        lease = self.lease
        if lease is None or lease.connection is None:
            return None
        raw, expected = lease.connection.raw, lease.connection.references + 1
        # A closed cursor executes nothing. Count those only if the number is too high.
        if handles.count(raw) <= expected:
            return None
        if handles.count(raw) <= expected + lease.cursors.references_of_closed(raw):
            return None
        return "a cursor, or the driver's connection, is still referred to"
