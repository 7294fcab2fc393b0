"""PyMySQL cursors that let their connection check statements before they run.

Without them the connection would see statements with interpolated parameters: long, each
one different, and containing words that are not SQL.
"""

from __future__ import annotations

import functools
from typing import Any

from pymysql import cursors

# PyMySQL's type hints do not cover the methods overridden here.
_Cursor: Any = cursors.Cursor


class _Watched(_Cursor):  # type: ignore[misc]
    """Mixin for a class of cursors."""

    connection: Any

    def execute(self, query: Any, args: Any = None) -> Any:
        connection = self.connection
        if connection is None or connection.is_watched:  # closed, or a part of executemany()
            return super().execute(query, args)
        connection.watch(query)
        connection.is_watched = True
        try:
            return super().execute(query, args)
        finally:
            connection.is_watched = False

    def executemany(self, query: Any, args: Any) -> Any:
        connection = self.connection
        if connection is None:
            return super().executemany(query, args)
        connection.watch(query)
        connection.is_watched = True
        try:
            return super().executemany(query, args)
        finally:
            connection.is_watched = False


@functools.cache
def watched(base: Any) -> Any:
    """Return a watched subclass of a cursor class."""
    if issubclass(base, _Watched):
        return base
    return type(base.__name__, (_Watched, base), {"__module__": base.__module__})
