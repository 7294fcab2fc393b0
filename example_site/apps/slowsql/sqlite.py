"""The function ``sleep(seconds)`` for SQLite, which has none."""

from __future__ import annotations

import time
from typing import Any

__all__ = ["register_sleep"]


def register_sleep(connection: Any, **_signal: Any) -> None:
    """Give a new connection the function; does nothing for other databases than SQLite."""
    if connection.vendor == "sqlite":
        connection.connection.create_function("sleep", 1, _sleep)


def _sleep(seconds: float) -> int:
    # Looked up when called: in a patched process it lets other greenlets run.
    time.sleep(seconds)
    return 0
