"""SQLite cursors that read ahead, so that a short query needs one hop to the thread.

The connection makes the hop; see ``concurrency.db.drivers.sqlite.connection``.
"""

from __future__ import annotations

import functools
import math
import sqlite3
import time
from collections import deque
from collections.abc import Iterable
from itertools import islice
from typing import Any

# Maximum number of rows read in one hop, unless the caller asks for more: at first just
# more than Django fetches at a time, later more.
_FIRST = 101
_LATER = 1000

# Seconds. Reading ahead ends after this time; slow rows are read when asked for.
_READ_AHEAD = 0.005


class Cursor(sqlite3.Cursor):
    """Mixin for a class of cursors: everything that touches the database runs in the thread.

    The first rows are read together with the execution, later ones in batches.
    """

    connection: Any
    closed = False
    # Whether the statement may have rows that are not in ``_rows``.
    _has_more = False

    def __init__(self, connection: Any) -> None:
        super().__init__(connection)
        self._rows: deque[Any] = deque()
        # The error met while reading ahead; raised after the rows before it.
        self._error: BaseException | None = None

    # Executing

    def execute(self, sql: str, *parameters: Any) -> Any:
        """Execute a statement and read its first rows."""
        self._forget()
        execute = super().execute

        def work() -> None:
            execute(sql, *parameters)
            if self.description is not None:
                self._note(True)
                self._read(0, _FIRST)

        self.connection.perform(sql, work)
        return self

    def executemany(self, sql: str, parameters: Iterable[Any]) -> Any:
        """Execute a statement once for each set of parameters."""
        self._forget()
        executemany = super().executemany
        # The iterable may run code that must not run in the thread.
        rows = list(parameters)
        taken = 0

        def remaining() -> Iterable[Any]:
            nonlocal taken
            for row in islice(rows, taken, None):
                taken += 1
                yield row

        def work() -> None:
            nonlocal taken
            # Called again after a wait for the lock: continue with the row that failed.
            taken = max(0, taken - 1)
            executemany(sql, remaining())

        self.connection.perform(sql, work)
        return self

    def executescript(self, script: str) -> Any:
        """Execute several statements."""
        self._forget()
        execute = super().executescript
        self.connection.perform_script(script, lambda: execute(script))
        return self

    def _read(self, least: int, most: int) -> None:
        """Read ``least`` rows, and up to ``most`` while that is quick; runs in the thread."""
        following = super().__next__
        end = time.monotonic() + _READ_AHEAD
        read = 0
        try:
            while read < least or (read < most and time.monotonic() < end):
                self._rows.append(following())
                read += 1
        except StopIteration:
            self._note(False)
        except BaseException as error:  # noqa: BLE001 - raised when this row is asked for
            self._error = error
            self._note(False)

    # Reading

    def fetchone(self) -> Any:
        """Return the next row, or None."""
        if not self._rows:
            self._fetch(1)
        return self._rows.popleft() if self._rows else None

    def fetchmany(self, size: int | None = None) -> list[Any]:
        """Return the next rows, ``arraysize`` of them by default."""
        wanted = self.arraysize if size is None else size
        if len(self._rows) < wanted:
            self._fetch(wanted - len(self._rows))
        return [self._rows.popleft() for _ in range(min(wanted, len(self._rows)))]

    def fetchall(self) -> list[Any]:
        """Return all remaining rows."""
        self._fetch(None)
        rows = list(self._rows)
        self._rows.clear()
        return rows

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        if not self._rows:
            self._fetch(1)
        if not self._rows:
            raise StopIteration
        return self._rows.popleft()

    def _fetch(self, count: int | None) -> None:
        """Read at least ``count`` more rows if there are as many; None reads all."""
        if self._has_more and self._error is None:
            most = max(_LATER, count or 0)
            read = self._read_all if count is None else functools.partial(self._read, count, most)
            self.connection.perform("", read, patiently=False)
        elif self.closed:
            raise sqlite3.ProgrammingError("Cannot operate on a closed cursor.")
        if len(self._rows) < (count or math.inf):
            error, self._error = self._error, None
            if error is not None:
                raise error

    def _read_all(self) -> None:
        """Read the remaining rows; runs in the thread."""
        self._rows.extend(super().fetchall())
        self._note(False)

    # Ending

    def close(self) -> None:
        """Close the cursor. Never waits, because generators that read it close it at their end."""
        if self.closed:
            return  # the close may still be queued, and a second one would crash the thread
        self.closed = True
        self._forget()
        if self._has_more or self.connection.is_busy():
            self.connection.call_soon(super().close)
        else:
            super().close()
        self._note(False)

    def _forget(self) -> None:
        self._rows.clear()
        self._error = None

    def _note(self, has_more: bool) -> None:
        if has_more is not self._has_more:
            self._has_more = has_more
            self.connection.note_unread(self, has_more)

    def __del__(self) -> None:
        # A cursor that is open in SQLite must be closed in the thread, or the hub would
        # wait for the running statement.
        if self._has_more or self.connection.is_busy():
            self.connection.call_soon(super().close)


@functools.cache
def green_cursor(base: type[sqlite3.Cursor]) -> type[sqlite3.Cursor]:
    """Return a subclass of a cursor class that runs in the thread."""
    return base if issubclass(base, Cursor) else type("Cursor", (Cursor, base), {})
