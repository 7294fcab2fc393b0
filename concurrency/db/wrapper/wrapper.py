"""What turns a ``DatabaseWrapper`` of Django into one that leases its connections.

A wrapper belongs to one greenlet, as Django's ``connections`` give it out in a
patched process. It holds a lease from its first query until the request ends,
the greenlet ends, ``close()`` is called, or its greenlet waits for others. In a
process that is not patched it does nothing that Django would not do.
"""

from __future__ import annotations

import _thread
import weakref
from collections.abc import Callable
from typing import Any

from django.db import DEFAULT_DB_ALIAS
from gevent import Greenlet, getcurrent

from concurrency import context
from concurrency.db.pool.lease import Lease
from concurrency.db.wrapper import fan_out_in_atomic
from concurrency.db.wrapper.cursors import WatchedStatements
from concurrency.db.wrapper.lending import Lending, native_thread
from concurrency.db.wrapper.observers import ObservedStatements
from concurrency.db.wrapper.sessions import SessionSetUp
from concurrency.db.wrapper.template import HasPool
from concurrency.db.wrapper.transactions import InterruptedTransactions

#: Called with a wrapper that is about to take a lease, and may change its class: in
#: the transaction of a test greenlets share one connection, see ``concurrency.testing``.
before_connect: Callable[[Any], None] | None = None


class PooledDatabaseWrapper(
    HasPool,
    SessionSetUp,
    Lending,
    InterruptedTransactions,
    WatchedStatements,
    ObservedStatements,
):
    """Mixin for a ``DatabaseWrapper``: connections come from a pool and return to it.

    To be named before Django's wrapper among the bases. Subclasses set ``driver``.
    """

    # Django's own attributes, of which it gives no types.
    connection: Any
    savepoint_ids: list[Any]
    atomic_blocks: list[Any]

    def __init__(self, settings_dict: dict[str, Any], alias: str = DEFAULT_DB_ALIAS) -> None:
        super().__init__(settings_dict, alias)
        self._lease: Lease | None = None
        # The pool of the lease, or of the last one; None when its set-up has failed.
        self._leased_from: Any = None
        self._me: weakref.ref[Any] = weakref.ref(self)
        self._home = weakref.ref(getcurrent())
        self._linked_to: weakref.ref[Any] | None = None
        self._native = 0
        self._kept = 0
        # Whether the connection has gone and close(), which may be overridden, was not called.
        self._has_left = False
        self.hand_on()

    # Connecting

    def connect(self) -> None:
        """Take a lease. As Django's, but a session that is set up is not set up again."""
        if not self._uses_pool:
            super().connect()
            return
        if before_connect is not None:
            before_connect(self)
        if self._has_left:
            self._has_left = False
            self.close()
        self.hand_on()
        if context.waiting or context.others_started:
            fan_out_in_atomic.check(self)
        if self.in_atomic_block or self.needs_rollback or self.closed_in_transaction:
            self._forget_transaction()
        self.errors_occurred = False
        self.obtain()
        self.run_on_commit = []

    def obtain(self) -> None:
        """Take a lease on a connection whose session is set up."""
        if self._lease is not None:
            # Django forgets the connection that it had, in whatever state it is.
            lease, self._lease, self.connection = self._lease, None, None
            self._leased_from.give_back(lease, fit=False)
        pool, home = self._pool(), self._home
        owner = home if home() is getcurrent() else self._owner()
        is_known = pool is self._leased_from and not self._sets_up_itself
        if not is_known:
            self.check_settings()
        self._lease = lease = pool.lease(self._me, owner)
        self._leased_from = pool
        try:
            if owner is not self._linked_to:
                self._link(owner)
            pooled = lease.connection
            assert pooled is not None  # noqa: S101 - a lease that was granted has one
            self.connection = pooled.raw
            if self._checks_itself and self._is_refused(pooled):
                self.obtain()
                return
            if is_known and self._is_set_up(pooled):
                self.autocommit = self.settings_dict["AUTOCOMMIT"]
            elif not self._set_up(pool.template, pooled, always=pool.options.reset == "always"):
                self.obtain()
        except BaseException:
            # Half set up it must not be used, neither by this greenlet nor by another.
            self._release()
            self._leased_from = None
            raise

    def _forget_transaction(self) -> None:
        self.in_atomic_block = False
        self.savepoint_ids = []
        self.atomic_blocks = []
        self.needs_rollback = False
        self.closed_in_transaction = False

    # Giving back

    def _owner(self) -> weakref.ref[Any]:
        """Refer to the greenlet that a lease belongs to: the current one.

        Unless it uses the wrapper of another one, who goes on with the connection when
        the sharing, and this greenlet, have ended.
        """
        current, home = getcurrent(), self._home()
        is_of_home = home is current or (home is not None and self.is_shared())
        return self._home if is_of_home else weakref.ref(current)

    def _link(self, owner: weakref.ref[Any]) -> None:
        """Have a greenlet give the lease back when it ends, in whatever way."""
        greenlet = owner()
        if isinstance(greenlet, Greenlet):
            greenlet.rawlink(self._owner_ended)
        self._linked_to = owner
        self._native = native_thread()
        fan_out_in_atomic.remember(self)

    def _owner_ended(self, greenlet: Any) -> None:
        """Give back what an ended greenlet still holds; runs in the hub."""
        if not self.is_shared():
            self._release()

    def is_shared(self) -> bool:
        """Return whether other greenlets may use this wrapper, as Django's tests do."""
        return bool(self.allow_thread_sharing)

    def _release(self) -> None:
        lease = self._lease
        if lease is not None:
            self._lease = self.connection = None
            self._has_left = True
            self._leased_from.give_back(lease)

    def _leave(self) -> None:
        """Give the lease back as Django closes a connection: by ``close()``.

        A backend that remembers something of its connection overrides that. Where it must not
        be called, as in the hub, ``connect()`` does it before the next lease.
        """
        try:
            if self.allow_thread_sharing or self._thread_ident == _thread.get_ident():
                self.close()
        finally:
            self._release()

    def forsake(self) -> None:
        """Forget the lease; called in a child process, to whose parent it belongs."""
        self._lease = self.connection = None
        self._has_left = True
        self._forget_transaction()

    def _close(self) -> None:
        if self._lease is None:
            super()._close()
        else:
            self._release()
            self._has_left = False

    def close_if_unusable_or_obsolete(self) -> None:
        """Give the lease back: called by Django when a request starts and ends."""
        if self._lease is None and not self._uses_pool:
            super().close_if_unusable_or_obsolete()
        elif self._lease is not None and not self.in_atomic_block:
            self._leave()

    def close_if_health_check_failed(self) -> None:
        """Do nothing for a lease: the pool has looked at the connection."""
        if not self._uses_pool:
            super().close_if_health_check_failed()

    def end(self) -> None:
        """Give back whatever is held; for a greenlet or thread whose work has ended."""
        if self._lease is not None:
            self._leave()
            self._forget_transaction()

    def hides_from_children(self) -> bool:
        """Return whether children do not see what this greenlet has written."""
        return bool(self.in_atomic_block)
