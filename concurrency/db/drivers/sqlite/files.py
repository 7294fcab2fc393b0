"""Which file a name of a database stands for, and who writes to it in turn."""

from __future__ import annotations

import os
import weakref
from pathlib import Path
from urllib.parse import unquote, urlsplit

from concurrency.db.drivers.sqlite.turns import Turns

_turns: weakref.WeakValueDictionary[str, Turns] = weakref.WeakValueDictionary()


def path_of(database: str | os.PathLike[str]) -> str | None:
    """Return the path of a database's file, or None for one in memory."""
    name = os.fspath(database)
    if ":memory:" in name or "mode=memory" in name:
        return None
    if name.startswith("file:"):
        name = unquote(urlsplit(name).path)
    return str(Path(name).resolve())


def turns_of(database: str | os.PathLike[str]) -> Turns:
    """Return the queue of those in this process who write to a database."""
    key = path_of(database) or os.fspath(database)
    if key == ":memory:":
        return Turns()  # nobody else can reach that database
    # Nothing waits between the look and the store, so there is never a second one.
    return _turns.setdefault(key, Turns())


def identity(path: str | None) -> tuple[int, int] | None:
    """Return what tells a file from another one of the same name, None without a file."""
    try:
        found = None if path is None else Path(path).stat()
    except FileNotFoundError:
        return None
    return None if found is None else (found.st_dev, found.st_ino)
