"""In-memory databases that all connections of the process share.

SQLite drops an in-memory database when its last connection closes. One spare connection
keeps each database alive, so that a pool can open and close its own at any time.
"""

from __future__ import annotations

import sqlite3
from typing import Any

_keepers: dict[str, sqlite3.Connection] = {}


def is_in_memory(name: Any) -> bool:
    """Return whether a name stands for an in-memory database."""
    return isinstance(name, str) and (":memory:" in name or "mode=memory" in name)


def shared_name(name: str, alias: str) -> str:
    """Return the name under which all connections reach the same database."""
    if name == ":memory:":
        return f"file:concurrency-{alias}?mode=memory&cache=shared"
    return name if "cache=shared" in name else f"{name}&cache=shared"


def keep(name: str) -> None:
    """Keep a database until the process ends, as Django does with its test databases."""
    if name not in _keepers:
        _keepers[name] = sqlite3.connect(name, uri=True, check_same_thread=False)
