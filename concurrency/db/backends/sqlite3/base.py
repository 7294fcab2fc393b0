"""Django's SQLite backend with pooled connections that do not block the hub."""

from __future__ import annotations

import functools
from typing import Any

from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.sqlite3 import base

from concurrency.db.backends.sqlite3 import memory
from concurrency.db.backends.sqlite3.creation import DatabaseCreation
from concurrency.db.drivers import sqlite
from concurrency.db.drivers.sqlite.native import NativeThread
from concurrency.db.wrapper.wrapper import PooledDatabaseWrapper
from concurrency.patching.lateness import is_patched


class DatabaseWrapper(PooledDatabaseWrapper, base.DatabaseWrapper):  # type: ignore[misc]
    """SQLite with connections from a pool; see ``docs/sqlite.md``."""

    driver = sqlite.SQLite()
    creation_class = DatabaseCreation

    # Opening

    def get_connection_params(self) -> dict[str, Any]:
        """Return Django's parameters; transactions begin IMMEDIATE unless told otherwise."""
        params = super().get_connection_params()
        if is_patched():
            if "transaction_mode" not in self.settings_dict["OPTIONS"]:
                # A deferred transaction fails at its first write if another one has written.
                self.transaction_mode = "IMMEDIATE"
            if memory.is_in_memory(params["database"]):
                params["database"] = memory.shared_name(params["database"], self.alias)
        return params

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Open a connection in the native thread that it will use."""
        if not is_patched():
            return super().get_new_connection(conn_params)
        in_memory = memory.is_in_memory(conn_params["database"])
        if in_memory:
            memory.keep(conn_params["database"])
        asks_for_mode = any("journal_mode" in each.lower() for each in self.init_commands)
        thread = NativeThread()
        factory = functools.partial(sqlite.Connection, thread=thread)
        connect = functools.partial(super().get_new_connection, {**conn_params, "factory": factory})

        def open_in_thread() -> Any:
            connection = connect()
            if not in_memory and not asks_for_mode:
                connection.use_wal()
            return connection

        try:
            return thread.run(open_in_thread)
        except BaseException:
            thread.end()
            raise

    def adopt(self, template: Any) -> None:
        """Set the transaction mode, which Django keeps on the wrapper."""
        self.get_connection_params()

    def is_session_ready(self) -> bool:
        """Return whether autocommit matches the settings, and update the transaction mode."""
        self.get_connection_params()
        return super().is_session_ready()

    def session_autocommit(self) -> bool | None:
        """Return whether the leased session is in autocommit, as the driver reports it."""
        return self.connection.isolation_level is None

    # Closing

    def close(self) -> None:
        """Give the lease back, for an in-memory database too: another connection keeps that.

        Inside a transaction, or if threads share the connection as in tests, closing an
        in-memory database does nothing, as in Django.
        """
        if not self.uses_pool:
            super().close()
        elif not self._is_needed():
            BaseDatabaseWrapper.close(self)

    def close_if_unusable_or_obsolete(self) -> None:
        """Give the lease back at the end of a request, with the exceptions of ``close()``."""
        if not self.uses_pool or not self._is_needed():
            super().close_if_unusable_or_obsolete()

    def _is_needed(self) -> bool:
        return self.is_in_memory_db() and (self.in_atomic_block or self.allow_thread_sharing)

    # Transactions

    def _has_lost_transaction(self) -> bool:
        # Connections of an unpatched process lack the attribute.
        return getattr(self.connection, "has_lost_transaction", False)

    def validate_no_broken_transaction(self) -> None:
        """Refuse statements in a transaction that SQLite has rolled back by itself.

        Otherwise each of them would be committed on its own.
        """
        if self.in_atomic_block and self._has_lost_transaction():
            self.needs_rollback = True
        super().validate_no_broken_transaction()

    def _commit(self) -> None:
        if self._has_lost_transaction():
            raise OperationalError(
                "SQLite has rolled the transaction back when a statement in it was "
                "stopped or failed: nothing of it is kept"
            )
        super()._commit()
