"""SQLite: statements run in native threads, writers queue, kills interrupt."""

from __future__ import annotations

import sqlite3
from operator import attrgetter
from typing import Any

from concurrency.db.drivers.sqlite.connection import Connection

__all__ = ["Connection", "SQLite"]


# Python 3.12 added ``autocommit`` beside sqlite3's implicit transactions.
_NEWER = ("autocommit",) if hasattr(sqlite3.Connection, "autocommit") else ()

# Runs at the end of each lease, so it is implemented in C.
_ATTRIBUTES = attrgetter("row_factory", "text_factory", "changes", *_NEWER)


class SQLite:
    """The pool's view of SQLite; see ``concurrency.db.drivers.driver.Driver``."""

    error = sqlite3.Error
    attributes = _ATTRIBUTES

    def fileno(self, raw: Any) -> None:
        return None

    def is_closed(self, raw: Any) -> bool:
        return bool(raw.is_closed)

    def is_clean(self, raw: Any) -> bool:
        return bool(raw.is_clean())

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
