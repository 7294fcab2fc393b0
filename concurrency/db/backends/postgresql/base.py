"""Django's PostgreSQL backend with pooled connections."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from django.db.backends.postgresql import base
from django.db.backends.postgresql.psycopg_any import is_psycopg3

from concurrency.db.drivers.driver import Driver
from concurrency.db.wrapper.wrapper import PooledDatabaseWrapper
from concurrency.patching.lateness import is_patched

_driver: Driver
if is_psycopg3:
    import psycopg

    from concurrency.db.drivers.postgresql import psycopg3

    _driver = psycopg3.Psycopg3()
    # Django opens connections through the attribute ``Database`` of its wrapper.
    _database: Any = SimpleNamespace(**vars(psycopg) | {"connect": psycopg3.Connection.connect})
else:
    from django.db.backends.postgresql.base import CursorDebugWrapper  # noqa: F401
    from psycopg2 import extensions

    from concurrency.db.drivers.postgresql import psycopg2

    _driver = psycopg2.Psycopg2()
    _database = base.Database
    if is_patched():
        extensions.set_wait_callback(psycopg2.wait)


class PooledPostgreSQL(PooledDatabaseWrapper):
    """Mixin for Django's PostgreSQL backend and for backends derived from it."""

    driver = _driver
    Database = _database if is_patched() else base.Database

    def get_connection_params(self) -> dict[str, Any]:
        """Return Django's parameters, with classes that wait on the hub."""
        params = super().get_connection_params()
        if not is_psycopg3 and is_patched():
            factory = params.get("connection_factory", psycopg2.Connection)
            if isinstance(factory, type):
                params["connection_factory"] = psycopg2.green_connection(factory)
            params["cursor_factory"] = psycopg2.green_cursor(params["cursor_factory"])
        elif is_patched():
            params["cursor_factory"] = psycopg3.watched(params["cursor_factory"])
        return params

    def adopt(self, template: Any) -> None:
        """Copy the isolation level of the connections, which Django reads from the wrapper."""
        self.isolation_level = template.isolation_level

    def refresh_session(self) -> None:
        """Set the time zone if it differs from the settings; free if it does not."""
        raw = self.connection
        if raw.time_zone != self.timezone_name:
            if self._configure_timezone(raw) and not raw.autocommit:
                raw.commit()
            raw.time_zone = self.timezone_name

    def is_session_ready(self) -> bool:
        """Return whether autocommit and time zone match the settings."""
        raw, autocommit = self.connection, self.settings_dict["AUTOCOMMIT"]
        return bool(raw.autocommit == autocommit and raw.time_zone == self.timezone_name)

    def session_autocommit(self) -> bool | None:
        """Return whether the leased session is in autocommit, as the driver reports it."""
        return bool(self.connection.autocommit)

    def create_cursor(self, name: str | None = None) -> Any:
        """Return a cursor; Django's own server-side cursors are watched like the driver's."""
        cursor = super().create_cursor(name)
        if name and is_psycopg3 and self.uses_pool:
            psycopg3.watch_on_server(cursor)
        return cursor

    def text_of(self, sql: Any) -> str:
        """Return a statement as text; psycopg's ``Composed`` needs the connection for that."""
        if hasattr(sql, "as_string"):
            return str(sql.as_string(self.connection))
        return super().text_of(sql)

    def connections_allowed(self) -> int:
        """Return how many connections the server allows ordinary roles."""
        with self.cursor() as cursor:
            cursor.execute(
                "SELECT current_setting('max_connections')::int"
                " - current_setting('superuser_reserved_connections')::int"
            )
            (allowed,) = cursor.fetchone()
        return int(allowed)


class DatabaseWrapper(PooledPostgreSQL, base.DatabaseWrapper):  # type: ignore[misc]
    """PostgreSQL with connections from a pool; see ``docs/database.md``."""
