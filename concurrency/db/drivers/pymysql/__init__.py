"""PyMySQL: waits on the hub, and cancels a statement when its greenlet is killed."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

from pymysql.err import Error

from concurrency.compat.pymysql import TIMEOUTS
from concurrency.db.drivers.pymysql.connection import Connection
from concurrency.db.drivers.pymysql.control import Control

__all__ = ["Connection", "Control", "PyMySQL"]


# Runs at the end of each lease, so it is implemented in C.
_ATTRIBUTES = attrgetter(
    "charset",
    "collation",
    "encoding",
    "use_unicode",
    "cursorclass",
    "encoders",
    "decoders",
    "changes.count",
    "client_flag",
    "max_allowed_packet",
    *TIMEOUTS,
    # These affect a reconnect, or a reset;
    "host",
    "port",
    "unix_socket",
    "bind_address",
    "connect_timeout",
    "user",
    "password",
    "server_public_key",
    "ssl",
    "ctx",
    "db",
    "sql_mode",
    "init_command",
    # the session changes if the holder has reconnected.
    "session",
)


class PyMySQL:
    """The pool's view of PyMySQL; see ``concurrency.db.drivers.driver.Driver``."""

    error = Error
    attributes = _ATTRIBUTES

    def fileno(self, raw: Any) -> int:
        return int(raw.fileno())

    def is_closed(self, raw: Any) -> bool:
        return bool(raw.is_gone())

    def is_clean(self, raw: Any) -> bool:
        return bool(raw.is_clean())

    def clean(self, raw: Any, seconds: float) -> None:
        with raw.at_once():
            raw.drop_answer()
            raw.rollback()
            raw.autocommit(True)

    def close_cursor(self, cursor: Any) -> None:
        cursor.close()

    def reset(self, raw: Any) -> None:
        with raw.at_once():
            raw.reset()

    def ping(self, raw: Any) -> None:
        with raw.at_once():
            raw.ping()

    def close(self, raw: Any) -> None:
        raw.close()
