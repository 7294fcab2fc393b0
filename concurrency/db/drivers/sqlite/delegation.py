"""Methods of sqlite3's connection that run unchanged in its native thread.

Also lists the methods whose effect stays with a connection and must not reach its next
holder.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any, TypeVar

C = TypeVar("C", bound=sqlite3.Connection)

# Effects that stay: functions, hooks, limits, replaced content, an open blob.
_CHANGING = (
    "blobopen",
    "create_aggregate",
    "create_collation",
    "create_function",
    "create_window_function",
    "deserialize",
    "enable_load_extension",
    "load_extension",
    "set_authorizer",
    "set_progress_handler",
    "set_trace_callback",
    "setconfig",
    "setlimit",
)
_READING = ("backup", "serialize")


def _delegate(name: str, *, changes: bool) -> Callable[..., Any]:
    method = getattr(sqlite3.Connection, name)

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        self.changes += changes
        return self.in_thread(lambda: method(self, *args, **kwargs))

    return call


def delegating(kind: type[C]) -> type[C]:
    """Decorate a class of connections with ``in_thread()``.

    Its ``changes`` counts the calls whose effect stays with a connection.
    """
    connection: Any = kind
    connection.changes = 0
    for name in (*_CHANGING, *_READING):
        # Some exist only in certain builds of Python.
        if hasattr(sqlite3.Connection, name):
            setattr(kind, name, _delegate(name, changes=name in _CHANGING))
    return kind
