"""Waiting for a lock that another process, or another connection in memory, has.

SQLite's own wait cannot be stopped. So it waits for a moment only, and is asked
again, in the native thread, until the time is over or somebody calls it off.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from typing import TypeVar

from gevent.monkey import get_original

T = TypeVar("T")

#: For how long SQLite waits at a time, in seconds.
SLICE = 0.025

# Seconds between looks at a table of a shared in-memory database; SQLite does not
# wait for those who write to it.
_SHARED_PAUSE = 0.002

_sleep = get_original("time", "sleep")


def patiently(work: Callable[[], T], seconds: float, is_called_off: Callable[[], bool]) -> T:
    """Return what ``work()`` returns, tried again while others have the lock.

    Args:
        work: has no effect when it fails.
        seconds: for how long.
        is_called_off: whether nobody wants it any more.
    """
    end = time.monotonic() + seconds
    while True:
        started = time.monotonic()
        try:
            return work()
        except sqlite3.OperationalError as error:
            now = time.monotonic()
            if now >= end or is_called_off() or not _is_worth_waiting(error, now - started):
                raise


def _is_worth_waiting(error: sqlite3.OperationalError, waited: float) -> bool:
    if _code(error) == sqlite3.SQLITE_LOCKED_SHAREDCACHE:
        _sleep(_SHARED_PAUSE)
        return True
    # SQLite does not wait at all where waiting cannot help, as when a reader wants
    # to write what somebody else has changed meanwhile.
    return is_busy(error) and waited >= SLICE


def _code(error: sqlite3.OperationalError) -> int:
    # What sqlite3 itself complains about has none.
    return getattr(error, "sqlite_errorcode", 0)


def is_busy(error: sqlite3.OperationalError) -> bool:
    """Return whether somebody else has the lock."""
    return _code(error) & 0xFF == sqlite3.SQLITE_BUSY


def use_wal(connection: sqlite3.Connection, seconds: float) -> str:
    """Turn write-ahead logging on, for all who use the file; return the mode it has now.

    Nobody else may use the file in that moment, and SQLite does not wait for it.
    """
    end = time.monotonic() + seconds
    mode = None
    while True:
        try:
            # Asking waits in vain, too, for somebody who turns it on in this moment.
            (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
            if mode != "wal":
                (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
            return str(mode)
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() >= end:
                if mode is None:
                    raise
                return str(mode)
        _sleep(_SHARED_PAUSE)
