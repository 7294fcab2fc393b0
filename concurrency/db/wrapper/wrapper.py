"""What turns a ``DatabaseWrapper`` of Django into one that leases its connections.

A wrapper belongs to one greenlet, as Django's ``connections`` give it out in a
patched process. It holds a lease from its first query until the request ends,
the greenlet ends, ``close()`` is called, or its greenlet waits for others. In a
process that is not patched it does nothing that Django would not do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import DEFAULT_DB_ALIAS

from concurrency import kinship
from concurrency.db.wrapper import fan_out_in_atomic
from concurrency.db.wrapper.cursors import WatchedStatements
from concurrency.db.wrapper.observers import ObservedStatements
from concurrency.db.wrapper.sessions import SessionSetUp
from concurrency.db.wrapper.transactions import InterruptedTransactions

#: Called with a wrapper that is about to take a lease, and may change its class: in
#: the transaction of a test greenlets share one connection, see ``concurrency.testing``.
before_connect: Callable[[Any], None] | None = None


class PooledDatabaseWrapper(
    SessionSetUp, InterruptedTransactions, WatchedStatements, ObservedStatements
):
    """Mixin for a ``DatabaseWrapper``: connections come from a pool and return to it.

    To be named before Django's wrapper among the bases. Subclasses set ``driver``.
    """

    def __init__(self, settings_dict: dict[str, Any], alias: str = DEFAULT_DB_ALIAS) -> None:
        super().__init__(settings_dict, alias)
        self.hand_on()

    def connect(self) -> None:
        """Take a lease. As Django's, but a session that is set up is not set up again."""
        if not self.uses_pool:
            super().connect()
            return
        if before_connect is not None:
            before_connect(self)
        if self.has_left:
            self.has_left = False
            self.close()
        if self.is_handed_on():
            self.hand_on()
        if kinship.waiting or kinship.started_for_others:
            fan_out_in_atomic.check(self)
        if self.in_atomic_block or self.needs_rollback or self.closed_in_transaction:
            self.forget_transaction()
        self.errors_occurred = False
        self.obtain()
        self.run_on_commit = []

    def obtain(self) -> None:
        """Take a lease on a connection whose session is set up."""
        leasing = self.leasing
        if leasing.lease is not None:
            # Django forgets the connection that it had, in whatever state it is.
            self.connection = None
            leasing.give_back(fit=False)
        pool = self._pool()
        is_known = pool is leasing.pool and not self.sets_up_itself
        if not is_known:
            self.check_settings()
        try:
            pooled = leasing.take(pool)
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
            self.release()
            leasing.pool = None
            raise

    def close_if_unusable_or_obsolete(self) -> None:
        """Give the lease back: called by Django when a request starts and ends."""
        if self.leasing.lease is not None:
            if not self.in_atomic_block:
                self.leave()
        elif not self.uses_pool:
            super().close_if_unusable_or_obsolete()

    def close_if_health_check_failed(self) -> None:
        """Do nothing for a lease: the pool has looked at the connection."""
        if not self.uses_pool:
            super().close_if_health_check_failed()
