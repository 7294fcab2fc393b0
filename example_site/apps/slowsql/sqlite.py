"""The function ``sleep(seconds)`` for SQLite, which has none."""

from __future__ import annotations

from typing import Any

from gevent.monkey import get_original

__all__ = ["register_sleep"]

# The statement runs in a native thread of its own, where the patched one, which
# lets other greenlets of the same thread run, would start a hub.
_native_sleep = get_original("time", "sleep")


def register_sleep(connection: Any, **_signal: Any) -> None:
    """Give a new connection the function; does nothing for other databases than SQLite."""
    if connection.vendor == "sqlite":
        connection.connection.create_function("sleep", 1, _sleep)


def _sleep(seconds: float) -> int:
    _native_sleep(seconds)
    return 0
