"""``PooledDatabaseWrapper``: turns Django's ``DatabaseWrapper`` into one that leases.

In a patched process Django's ``connections`` gives each greenlet its own wrapper. The
wrapper holds a lease from its first query until the request ends, the greenlet ends,
``close()`` is called, or its greenlet waits for others. In an unpatched process it
behaves as Django's wrapper does.
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

#: Called with a wrapper that is about to take a lease; may change its class. Greenlets
#: share one connection in the transaction of a test, see ``concurrency.testing``.
before_connect: Callable[[Any], None] | None = None


class PooledDatabaseWrapper(
    SessionSetUp, InterruptedTransactions, WatchedStatements, ObservedStatements
):
    """Mixin for a ``DatabaseWrapper``: connections come from a pool and return to it.

    Put it before Django's wrapper among the bases. Subclasses set ``driver``.
    """

    def __init__(self, settings_dict: dict[str, Any], alias: str = DEFAULT_DB_ALIAS) -> None:
        super().__init__(settings_dict, alias)
        self.hand_on()

    def connect(self) -> None:
        """Take a lease. A session that is already set up is not set up again."""
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
            # Django forgets its previous connection here, in any state.
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
            # No greenlet may use a session that is only half set up.
            self.release()
            leasing.pool = None
            raise

    def close_if_unusable_or_obsolete(self) -> None:
        """Give the lease back; Django calls it when a request starts and ends."""
        if self.leasing.lease is not None:
            if not self.in_atomic_block:
                self.leave()
        elif not self.uses_pool:
            super().close_if_unusable_or_obsolete()

    def close_if_health_check_failed(self) -> None:
        """Do nothing for a lease: the pool has already checked the connection."""
        if not self.uses_pool:
            super().close_if_health_check_failed()
