"""Waits for a lock of another process, or of another connection to an in-memory database.

SQLite's own wait cannot be interrupted. So it waits for short slices only, repeated in the
native thread until the time is up or the caller cancels.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from typing import TypeVar

from gevent.monkey import get_original

T = TypeVar("T")

#: Length of one wait of SQLite's, in seconds.
SLICE = 0.025

# Seconds between attempts to read a table of a shared in-memory database; SQLite does not
# wait for the connections that write to it.
_SHARED_PAUSE = 0.002

_sleep = get_original("time", "sleep")


def patiently(work: Callable[[], T], seconds: float, is_called_off: Callable[[], bool]) -> T:
    """Return what ``work()`` returns; try again while another connection has the lock.

    Args:
        work: has no effect when it fails.
        seconds: how long to try, in seconds.
        is_called_off: returns whether the caller has cancelled.
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
    # SQLite does not wait at all if that cannot help, for example if a reader wants to
    # write what another connection has changed in the meantime.
    return is_busy(error) and waited >= SLICE


def _code(error: sqlite3.OperationalError) -> int:
    # Errors raised by sqlite3 itself have no code.
    return getattr(error, "sqlite_errorcode", 0)


def is_busy(error: sqlite3.OperationalError) -> bool:
    """Return whether another connection has the lock."""
    return _code(error) & 0xFF == sqlite3.SQLITE_BUSY


def use_wal(connection: sqlite3.Connection, seconds: float) -> str:
    """Turn write-ahead logging on for the file; return the resulting journal mode.

    This needs exclusive access to the file, and SQLite does not wait for that.
    """
    end = time.monotonic() + seconds
    mode = None
    while True:
        try:
            # The query, too, fails while another connection turns it on.
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
