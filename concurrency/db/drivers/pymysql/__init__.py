"""PyMySQL: waits on the hub, and stops a statement when its greenlet is killed."""

from __future__ import annotations

from typing import Any

from pymysql.err import Error

from concurrency.db.drivers.pymysql.connection import Connection
from concurrency.db.drivers.pymysql.control import Control

__all__ = ["Connection", "Control", "PyMySQL"]


class PyMySQL:
    """The pool's view of PyMySQL; see ``concurrency.db.driver.Driver``."""

    error = Error

    def fileno(self, raw: Any) -> int:
        return int(raw.fileno())

    def is_closed(self, raw: Any) -> bool:
        return bool(raw.is_gone())

    def is_clean(self, raw: Any) -> bool:
        return bool(raw.is_clean())

    def attributes(self, raw: Any) -> Any:
        names = raw.charset, raw.collation, raw.encoding
        # Another session is one to which the holder has connected again.
        return *names, raw.cursorclass, raw.sql_mode, raw.session

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
