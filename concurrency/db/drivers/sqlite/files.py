"""The file that a database name stands for, and the queue of its writers."""

from __future__ import annotations

import os
import weakref
from pathlib import Path
from urllib.parse import unquote, urlsplit

from concurrency.db.drivers.sqlite.turns import Turns

_turns: weakref.WeakValueDictionary[str, Turns] = weakref.WeakValueDictionary()


def path_of(database: str | os.PathLike[str]) -> str | None:
    """Return the path of a database's file, None for an in-memory database."""
    name = os.fspath(database)
    if ":memory:" in name or "mode=memory" in name:
        return None
    if name.startswith("file:"):
        name = unquote(urlsplit(name).path)
    return str(Path(name).resolve())


def turns_of(database: str | os.PathLike[str]) -> Turns:
    """Return the queue of this process's writers to a database."""
    key = path_of(database) or os.fspath(database)
    if key == ":memory:":
        return Turns()  # no other connection can reach that database
    # No switch between lookup and store, so there is never a second queue.
    return _turns.setdefault(key, Turns())


def identity(path: str | None) -> tuple[int, int] | None:
    """Return what distinguishes a file from another of the same name, None without a file."""
    try:
        found = None if path is None else Path(path).stat()
    except FileNotFoundError:
        return None
    return None if found is None else (found.st_dev, found.st_ino)
