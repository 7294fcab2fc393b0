"""SQLite: statements run in native threads, writers queue, kills interrupt."""

from __future__ import annotations

import sqlite3
from typing import Any

from concurrency.db.drivers.sqlite.connection import Connection

__all__ = ["Connection", "SQLite"]


class SQLite:
    """The pool's view of SQLite; see ``concurrency.db.driver.Driver``."""

    error = sqlite3.Error

    def fileno(self, raw: Any) -> None:
        return None

    def is_closed(self, raw: Any) -> bool:
        return bool(raw.is_closed)

    def is_clean(self, raw: Any) -> bool:
        return bool(raw.is_clean())

    def attributes(self, raw: Any) -> Any:
        return raw.row_factory, raw.text_factory, raw.changes

    def clean(self, raw: Any, seconds: float) -> None:
        raw.make_clean(seconds)

    def close_cursor(self, cursor: Any) -> None:
        cursor.close()

    def reset(self, raw: Any) -> None:
        raise sqlite3.NotSupportedError("SQLite cannot reset a session; opening another is cheap")

    def ping(self, raw: Any) -> None:
        raw.check_file()

    def close(self, raw: Any) -> None:
        raw.close()
