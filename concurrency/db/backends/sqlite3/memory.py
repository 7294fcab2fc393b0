"""In-memory databases that all connections of the process share.

SQLite forgets a database in memory when its last connection is closed. One that
nobody uses keeps each of them alive, so that a pool may open and close as it likes.
"""

from __future__ import annotations

import sqlite3
from typing import Any

_keepers: dict[str, sqlite3.Connection] = {}


def is_in_memory(name: Any) -> bool:
    """Return whether a name stands for a database in memory."""
    return isinstance(name, str) and (":memory:" in name or "mode=memory" in name)


def shared_name(name: str, alias: str) -> str:
    """Return the name under which all connections reach the same database."""
    if name == ":memory:":
        return f"file:concurrency-{alias}?mode=memory&cache=shared"
    return name if "cache=shared" in name else f"{name}&cache=shared"


def keep(name: str) -> None:
    """Keep a database until the end of the process, as Django does with its test databases."""
    if name not in _keepers:
        _keepers[name] = sqlite3.connect(name, uri=True, check_same_thread=False)
