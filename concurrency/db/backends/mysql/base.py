"""Django's MySQL backend with pooled connections, on PyMySQL."""

from __future__ import annotations

from typing import Any

from django.db.backends.mysql import base
from django.utils.functional import cached_property

from concurrency.db.drivers.driver import PATIENCE, close
from concurrency.db.drivers.pymysql import Connection, PyMySQL
from concurrency.db.drivers.pymysql.control import Control
from concurrency.db.wrapper.wrapper import PooledDatabaseWrapper

_driver = PyMySQL()

# Parameters that the connection for KILL does not need, or that could make it fail.
_NOT_FOR_CONTROL = ("database", "db", "init_command", "sql_mode", "cursorclass", "local_infile")


class DatabaseWrapper(PooledDatabaseWrapper, base.DatabaseWrapper):  # type: ignore[misc]
    """MySQL or MariaDB with connections from a pool; see ``docs/database.md``."""

    driver = _driver

    # Set on a pool's template only.
    _control: Control | None = None
    server_data: dict[str, Any] | None = None

    def open_raw(self) -> Connection:
        """Open a connection for the pool; called on a pool's template only."""
        if self._control is None:
            self._control = Control(self._open_control, self._close_control)
        # Django turns autocommit on anyway; as a parameter it costs no round trip.
        params = {"autocommit": True, **self.get_connection_params()}
        return Connection(control=self._control, **params)

    def _open_control(self) -> Connection:
        params = self.get_connection_params()
        for name in _NOT_FOR_CONTROL:
            params.pop(name, None)
        return Connection(**{**params, "autocommit": True, "read_timeout": PATIENCE})

    def _close_control(self, control: Connection) -> None:
        close(self.driver, control)

    def adopt(self, template: Any) -> None:
        """Copy the isolation level of the connections, which Django reads from the wrapper."""
        self.isolation_level = template.isolation_level

    def session_autocommit(self) -> bool | None:
        """Return whether the leased session is in autocommit; each response states it."""
        return bool(self.connection.get_autocommit())

    @cached_property  # type: ignore[untyped-decorator]
    def mysql_server_data(self) -> dict[str, Any]:
        """Facts about the server, as in Django, but queried once per pool."""
        if not self.uses_pool:
            return super().mysql_server_data  # type: ignore[no-any-return]
        template: Any = self._pool().template
        if template.server_data is None:
            template.server_data = super().mysql_server_data
        data: dict[str, Any] = template.server_data
        return data

    def connections_allowed(self) -> int:
        """Return how many connections the server allows ordinary users."""
        with self.cursor() as cursor:
            cursor.execute("SELECT @@max_connections")
            (allowed,) = cursor.fetchone()
        return int(allowed)
