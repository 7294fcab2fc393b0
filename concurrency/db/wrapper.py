"""What turns a ``DatabaseWrapper`` of Django into one that leases its connections.

A wrapper belongs to one greenlet, as Django's ``connections`` give it out in a
patched process. It holds a lease from its first query until the request ends,
the greenlet ends, ``close()`` is called, or its greenlet waits for others. In a
process that is not patched it does nothing that Django would not do.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gevent
from django.db import DEFAULT_DB_ALIAS
from django.db.backends.base.base import NO_DB_ALIAS, BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from concurrency._lateness import is_patched
from concurrency.db import fanout, registry
from concurrency.db.connection import Lease, PooledConnection
from concurrency.db.cursors import WatchedStatements
from concurrency.db.driver import Driver
from concurrency.db.options import PoolOptions, is_ours
from concurrency.db.pool import Pool

#: Called with a wrapper that is about to take a lease, and may change its class: in
#: the transaction of a test greenlets share one connection, see ``concurrency.testing``.
before_connect: Callable[[Any], None] | None = None


class PooledDatabaseWrapper(WatchedStatements, BaseDatabaseWrapper):  # type: ignore[misc]
    """Mixin for a ``DatabaseWrapper``: connections come from a pool and return to it.

    To be named before Django's wrapper among the bases. Subclasses set ``driver``.
    """

    driver: Driver

    # Django's own attributes, of which it gives no types.
    connection: Any
    settings_dict: dict[str, Any]
    run_on_commit: list[Any]
    savepoint_ids: list[Any]
    atomic_blocks: list[Any]

    def __init__(self, settings_dict: dict[str, Any], alias: str = DEFAULT_DB_ALIAS) -> None:
        super().__init__(settings_dict, alias)
        self._lease: Lease | None = None
        self._leased_from: Pool | None = None
        self._linked_to: weakref.ref[Any] | None = None
        self._home = weakref.ref(gevent.getcurrent())
        self._kept = 0
        self._may_use_pool = alias != NO_DB_ALIAS and is_patched()
        self._setting_up = False

    @property
    def _uses_pool(self) -> bool:
        """Whether connections are leased; ``OPTIONS["pool"] = False`` turns it off."""
        return self._may_use_pool and self.settings_dict["OPTIONS"].get("pool") is not False

    # Connecting

    def connect(self) -> None:
        """Take a lease. As Django's, but a session that is set up is not set up again."""
        if not self._uses_pool:
            super().connect()
            return
        if before_connect is not None:
            before_connect(self)
        fanout.check(self)
        self.check_settings()
        self._forget_transaction()
        self.health_check_enabled = self.settings_dict["CONN_HEALTH_CHECKS"]
        self.health_check_done = True
        self.errors_occurred = False
        self.close_at = None
        self.obtain()
        self.run_on_commit = []

    def obtain(self) -> None:
        """Take a lease on a connection whose session is set up."""
        if self._lease is not None and self._leased_from is not None:
            # Django forgets the connection that it had, in whatever state it is.
            lease, self._lease, self.connection = self._lease, None, None
            self._leased_from.give_back(lease, fit=False)
        pool = self._pool()
        self._lease = lease = pool.lease(self, self._owner())
        self._leased_from = pool
        try:
            self._link()
            self._set_up(pool, lease)
        except BaseException:
            # Half set up it must not be used, neither by this greenlet nor by another.
            self._release()
            raise

    def _set_up(self, pool: Pool, lease: Lease) -> None:
        """Prepare the session for use by Django, as far as it is not."""
        pooled = lease.connection
        assert pooled is not None  # noqa: S101 - a lease that was granted has one
        self.connection = pooled.raw
        if self._kept or pool.options.reset == "always":
            pooled.tainted = True
        self.adopt(pool.template)
        autocommit = self.settings_dict["AUTOCOMMIT"]
        if self.session_autocommit() == autocommit:
            self.autocommit = autocommit
        else:
            self.set_autocommit(autocommit)
        self._setting_up = True
        try:
            if pooled.configured:
                self.refresh_session()
            else:
                self.init_connection_state()
                pooled.configured = True
            # For each lease, as with Django's own pool: what receivers set may differ.
            connection_created.send(sender=self.__class__, connection=self)
            pooled.attributes = self.driver.attributes(pooled.raw)
        finally:
            self._setting_up = False

    def _forget_transaction(self) -> None:
        self.in_atomic_block = False
        self.savepoint_ids = []
        self.atomic_blocks = []
        self.needs_rollback = False
        self.closed_in_transaction = False

    def adopt(self, template: Any) -> None:
        """Take over what Django's ``get_new_connection`` sets on the wrapper."""

    def session_autocommit(self) -> bool | None:
        """Return whether the leased session is in autocommit, None if it is not known."""
        return None

    def refresh_session(self) -> None:
        """Bring a session that was set up before in line with settings, if they changed."""

    def _pool(self) -> Pool:
        pool = registry.find(self.alias) or registry.pool_for(self.alias, self._make_pool)
        if pool.template.fingerprint() != self.fingerprint():
            # Another database under the same alias, as when test databases are made.
            registry.forget(self.alias)
            pool = registry.pool_for(self.alias, self._make_pool)
        return pool

    def _make_pool(self) -> Pool:
        template = type(self)(self.settings_dict.copy(), self.alias)
        template._may_use_pool = False
        return Pool(self.alias, self.pool_options(), self.driver, template)

    def pool_options(self) -> PoolOptions:
        """Return the options of this database's pool.

        Raises:
            ImproperlyConfigured: an option is unknown or has a wrong value.
        """
        return PoolOptions.from_settings(self.settings_dict["OPTIONS"], alias=self.alias)

    def fingerprint(self) -> tuple[Any, ...]:
        """Return what two wrappers must have in common to share connections."""
        given = self.settings_dict
        return given["NAME"], given["USER"], given["HOST"], given["PORT"], given["OPTIONS"]

    def open_raw(self) -> Any:
        """Open a connection for the pool; only called on a pool's template."""
        return self.get_new_connection(self.get_connection_params())

    def get_connection_params(self) -> dict[str, Any]:
        """Return Django's parameters; options of the pool are ours and no concern of it."""
        given = self.settings_dict
        options = {key: value for key, value in given["OPTIONS"].items() if not is_ours(key)}
        self.settings_dict = {**given, "OPTIONS": options}
        try:
            return super().get_connection_params()  # type: ignore[no-any-return]
        finally:
            self.settings_dict = given

    def is_usable(self) -> bool:
        """Return whether the leased connection answers; without a lease there is none."""
        return self.connection is not None and bool(super().is_usable())

    def set_autocommit(
        self, autocommit: bool, force_begin_transaction_with_broken_autocommit: bool = False
    ) -> None:
        """Begin or end a transaction, as Django's; give the lease back if that is interrupted.

        Nobody would know whether the session has done it. A greenlet that goes on after
        its deadline would write into a transaction that it believes to be autocommit.
        """
        try:
            super().set_autocommit(autocommit, force_begin_transaction_with_broken_autocommit)
        except Exception:
            raise
        except BaseException:
            if self._lease is not None and not self.in_atomic_block:
                self._release()
            raise

    # Giving back

    def _link(self) -> None:
        """Have the greenlet give the lease back when it ends, in whatever way."""
        owner = self._owner()
        if self._linked_to is not None and self._linked_to() is owner:
            return
        if isinstance(owner, gevent.Greenlet):
            owner.rawlink(self._owner_ended)
        self._linked_to = weakref.ref(owner)
        fanout.remember(self)

    def _owner_ended(self, greenlet: Any) -> None:
        """Give back what an ended greenlet still holds; runs in the hub."""
        if not self.is_shared():
            self._release()

    def _owner(self) -> Any:
        """Return the greenlet that a lease belongs to: the current one.

        Unless it uses the wrapper of another one, who goes on with the connection when
        the sharing, and this greenlet, have ended.
        """
        home = self._home()
        return home if self.is_shared() and home is not None else gevent.getcurrent()

    def is_shared(self) -> bool:
        """Return whether other greenlets may use this wrapper, as Django's tests do."""
        return bool(self.allow_thread_sharing)

    def _release(self) -> None:
        lease, self._lease = self._lease, None
        if lease is not None and self._leased_from is not None:
            self.connection = None
            self._leased_from.give_back(lease)

    def forsake(self) -> None:
        """Forget the lease; called in a child process, to whose parent it belongs."""
        self._lease = self.connection = None
        self._forget_transaction()

    def _close(self) -> None:
        if self._lease is None:
            super()._close()
        else:
            self._release()

    def close_if_unusable_or_obsolete(self) -> None:
        """Give the lease back: called by Django when a request starts and ends."""
        if not self._uses_pool:
            super().close_if_unusable_or_obsolete()
        elif not self.in_atomic_block:
            self.run_on_commit = []
            self._release()

    def close_if_health_check_failed(self) -> None:
        """Do nothing for a lease: the pool has looked at the connection."""
        if not self._uses_pool:
            super().close_if_health_check_failed()

    def end(self) -> None:
        """Give back whatever is held; for a greenlet or thread whose work has ended."""
        if self._lease is not None:
            self._release()
            self._forget_transaction()

    def lend(self) -> None:
        """Give the lease back while this greenlet waits, if nothing depends on it."""
        if self._lease is None or self._leased_from is None:
            return
        if self._is_lendable():
            self._release()
        else:
            self._leased_from.look_for_starvation()

    def _is_lendable(self) -> bool:
        pool, pooled = self._leased_from, self._pooled
        if pool is None or pooled is None or not pool.options.lend_while_waiting:
            return False
        bound = (
            self._kept
            or self.in_atomic_block
            or not self.autocommit
            or pooled.tainted
            or self.allow_thread_sharing
            or pooled.has_open_cursors()
        )
        return not bound and self.driver.is_clean(pooled.raw)

    def hides_from_children(self) -> bool:
        """Return whether children do not see what this greenlet has written."""
        return bool(self.in_atomic_block)

    @property
    def _pooled(self) -> PooledConnection | None:
        """The leased connection as the pool sees it."""
        return None if self._lease is None else self._lease.connection

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

    def remember_cursor(self, cursor: Any) -> None:
        """Take note of a cursor on the server: it binds the session until it is closed."""
        if self._pooled is not None:
            self._pooled.cursors.append(cursor)

    # The pool of Django, which this one replaces

    @property
    def pool(self) -> None:
        """None: Django's own pool is not used."""
        return

    def close_pool(self) -> None:
        """Close the idle connections of this alias; Django calls it."""
        if self._uses_pool:
            registry.forget(self.alias)
