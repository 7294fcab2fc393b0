"""Cursors that tell their wrapper about each statement before it runs."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.db.backends.utils import CursorWrapper


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
    """Return a cursor wrapper of Django's that reports what it executes."""
    kind: Any = type(cursor)
    cursor.__class__ = _watched(kind)
    return cursor
