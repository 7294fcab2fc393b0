"""Cursors that report each statement to their wrapper.

The driver's connection detects what a statement does to the session.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from django.db.backends.utils import CursorWrapper

from concurrency import hooks
from concurrency.db.wrapper.lending import Leased


class _Watched(CursorWrapper):  # type: ignore[misc]
    """Mixin for Django's cursor wrappers, below the wrappers of ``execute_wrapper``."""

    def _execute(self, sql: Any, params: Any, *ignored: Any) -> Any:
        self.db.before_statement(sql)
        return super()._execute(sql, params, *ignored)

    def _executemany(self, sql: Any, param_list: Any, *ignored: Any) -> Any:
        self.db.before_statement(sql)
        return super()._executemany(sql, param_list, *ignored)

    def callproc(self, procname: str, params: Any = None, kparams: Any = None) -> Any:
        self.db.before_statement(f"CALL {procname}")
        return super().callproc(procname, params, kparams)


@cache
def _watched(kind: type) -> type:
    return type(kind.__name__, (_Watched, kind), {})


def watch(cursor: Any) -> Any:
    """Make Django's cursor wrapper report what it executes, and return it."""
    kind: Any = type(cursor)
    cursor.__class__ = _watched(kind)
    return cursor


class WatchedStatements(Leased):
    """Part of a pooled wrapper: records what its holder executes."""

    def make_cursor(self, cursor: Any) -> Any:
        """Return Django's cursor wrapper, made to report each statement."""
        return self._watch(super().make_cursor(cursor))

    def make_debug_cursor(self, cursor: Any) -> Any:
        """Return Django's query-logging cursor wrapper, made to report each statement."""
        return self._watch(super().make_debug_cursor(cursor))

    def _watch(self, cursor: Any) -> Any:
        if not self.uses_pool:
            return cursor
        lease = self.leasing.lease
        if lease is not None:
            lease.cursors.remember(cursor)
        return watch(cursor)

    def before_statement(self, sql: Any) -> None:
        """Record a statement that is about to run."""
        if not self.is_setting_up:
            hooks.run(hooks.at_statement)
        lease = self.leasing.lease
        if lease is not None:
            lease.sql = sql if isinstance(sql, str) else self.text_of(sql)
            lease.idle_since = 0.0

    def text_of(self, sql: Any) -> str:
        """Return a statement that is not a ``str`` as text."""
        return sql.decode(errors="replace") if isinstance(sql, bytes) else str(sql)
