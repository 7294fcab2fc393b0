"""Methods of sqlite3's connection that run in its native thread as they are.

It knows what of them stays with a connection, which its next holder must not get.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

from concurrency.db.drivers.sessions import changes_sqlite
from concurrency.db.drivers.watching import WatchedSession

# What stays: functions, hooks, limits, another content, and a blob that is open.
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


class Delegating(WatchedSession, sqlite3.Connection):
    """A connection for a subclass that knows how to get to the thread."""

    changes_session = staticmethod(changes_sqlite)
    interface_error = sqlite3.InterfaceError

    #: How often something was changed that stays.
    changes = 0

    def in_thread(self, call: Callable[[], Any], *, grace: float = 0.0) -> Any:
        """Return what ``call()`` returns in the connection's thread, which a subclass knows."""
        raise NotImplementedError


def _delegate(name: str, *, changes: bool) -> Callable[..., Any]:
    method = getattr(sqlite3.Connection, name)

    def call(self: Delegating, *args: Any, **kwargs: Any) -> Any:
        self.changes += changes
        return self.in_thread(lambda: method(self, *args, **kwargs))

    return call


for _name in (*_CHANGING, *_READING):
    # Some of them depend on how Python was built.
    if hasattr(sqlite3.Connection, _name):
        setattr(Delegating, _name, _delegate(_name, changes=_name in _CHANGING))
