"""SQLite: statements run in a native thread of their connection, writers queue.

A statement and its first rows take one hop to the thread and back. If the greenlet is
killed in the meantime, its statement is interrupted.
"""

from __future__ import annotations

import functools
import logging
import sqlite3
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

from concurrency.db.drivers.driver import KILL_BUDGET
from concurrency.db.drivers.sessions import changes_sqlite
from concurrency.db.drivers.sqlite import files, patience, text
from concurrency.db.drivers.sqlite.cursor import Cursor, green_cursor
from concurrency.db.drivers.sqlite.delegation import delegating
from concurrency.db.drivers.sqlite.native import NativeThread
from concurrency.db.drivers.sqlite.patience import SLICE
from concurrency.db.drivers.sqlite.turns import Turn
from concurrency.db.drivers.watching import WatchedSession

T = TypeVar("T")

logger = logging.getLogger("concurrency.db")

# Seconds for a write in a transaction to end: an interrupt would roll back the transaction.
_WRITE_GRACE = 0.1

_isolation_level: Any = sqlite3.Connection.__dict__["isolation_level"]


@delegating
class Connection(WatchedSession, sqlite3.Connection):
    """A connection whose statements run in a native thread of its own.

    Args:
        database: a file or a URI.
        thread: runs everything that may wait for a disk, a lock or a function.
        timeout: seconds to wait for other writers.
    """

    changes_session = staticmethod(changes_sqlite)
    interface_error = sqlite3.InterfaceError

    # For a connection that could not be opened.
    is_closed = True
    _is_open = False
    #: Whether SQLite has rolled back a transaction by itself.
    has_lost_transaction = False

    def __init__(
        self, database: Any, *, thread: NativeThread, timeout: float = 5.0, **options: Any
    ) -> None:
        self._thread = thread
        self._timeout = timeout
        self._path = files.path_of(database)
        self._turn = Turn(files.turns_of(database))
        self._unread: weakref.WeakSet[Cursor] = weakref.WeakSet()
        super().__init__(database, timeout=min(timeout, SLICE), **options)
        self.is_closed = False
        self._is_open = True
        self._file = files.identity(self._path)

    # Statements

    def cursor(self, factory: Any = sqlite3.Cursor) -> Any:
        """Return a cursor of the given class whose statements run in the thread."""
        return super().cursor(green_cursor(factory))

    def execute(self, *args: Any) -> Any:
        """Execute a statement on a new cursor; sqlite3's own method would block the hub."""
        return self.cursor().execute(*args)

    def executemany(self, *args: Any) -> Any:
        """Execute a statement once for each set of parameters, on a cursor of its own."""
        return self.cursor().executemany(*args)

    def executescript(self, *args: Any) -> Any:
        """Execute several statements on a cursor of its own."""
        return self.cursor().executescript(*args)

    def perform(self, sql: str, work: Callable[[], T], *, patiently: bool = True) -> T:
        """Execute a statement by calling ``work`` in the thread.

        Args:
            sql: the statement; empty to read more rows of the last one.
            work: executes it.
            patiently: whether to try again while another connection has the lock.

        Raises:
            sqlite3.OperationalError: other connections were writing for too long.
            BaseException: what ``work`` raised, or what the greenlet was killed with.
        """
        if sql:
            self.watch(sql)
        if self._thread.is_current():
            return work()
        writes, ends = text.writes(sql), text.ends_transaction(sql)
        # A rollback must run even after a kill, or its changes could be committed later.
        whole = text.undoes(sql)
        return self._perform(work, writes=writes, ends=ends, patiently=patiently, whole=whole)

    def perform_script(self, script: str, work: Callable[[], T]) -> T:
        """Execute statements by calling ``work`` in the thread."""
        self.watch(script)
        if self._thread.is_current():
            return work()
        return self._perform(work, writes=True, ends=True, patiently=False)

    def _perform(
        self,
        work: Callable[[], T],
        *,
        writes: bool,
        ends: bool,
        patiently: bool,
        whole: bool = False,
    ) -> T:
        if writes and not self._turn.take(self._timeout):
            raise sqlite3.OperationalError(
                f"database is locked: no turn to write after {self._timeout:g} s; "
                f"{self._turn.describe()}. Make transactions shorter, or raise "
                f"OPTIONS['timeout']."
            )
        inside = self._is_inside()

        def call() -> T:
            succeeded = False
            try:
                answer = self._patiently(work) if patiently else work()
                succeeded = True
                return answer
            finally:
                if inside and not self.in_transaction and not (ends and succeeded):
                    self.has_lost_transaction = True

        try:
            if whole:
                return self.in_thread(call, grace=KILL_BUDGET, whole=True)
            return self.in_thread(call, grace=_WRITE_GRACE if writes and inside else 0.0)
        except BaseException:
            self._settle()
            raise

    def in_thread(self, call: Callable[[], T], *, grace: float = 0.0, whole: bool = False) -> T:
        """Return what ``call()`` returns in the thread of this connection."""
        if self._thread.is_current():
            return call()
        self.admit()
        if self.is_closed:
            raise sqlite3.ProgrammingError("Cannot operate on a closed database.")
        if self._thread.is_stuck():
            raise sqlite3.OperationalError(
                "a statement that was to be stopped still runs: the connection is of no use"
            )
        return self._thread.run(call, self, grace=grace, budget=KILL_BUDGET, whole=whole)

    def _patiently(self, work: Callable[[], T]) -> T:
        return patience.patiently(work, self._timeout, self._thread.is_stopped)

    def is_busy(self) -> bool:
        """Return whether a call runs or is queued."""
        return self._thread.is_busy()

    # Turns

    def _settle(self) -> None:
        """Give the turn on if nothing depends on it."""
        if self._turn.is_held and not self._thread.is_busy() and not self._is_inside():
            self._turn.give_on()

    def _is_inside(self) -> bool:
        return self._is_open and self.in_transaction

    # Called for the thread

    def call_ended(self, stopped: bool) -> None:
        """Tidy the connection up after a call; runs in the thread."""
        if stopped:
            # SQLite keeps interrupting until no statement is open on the connection.
            self.close_unread()
        if self._turn.is_held and not self._is_inside():
            self._turn.give_on()

    def note_unread(self, cursor: Cursor, unread: bool) -> None:
        """Record whether a cursor may have more rows."""
        if unread:
            self._unread.add(cursor)
        else:
            self._unread.discard(cursor)

    def close_unread(self) -> None:
        """Close the cursors that have more rows; runs in the thread."""
        for cursor in list(self._unread):
            cursor.close()

    def call_soon(self, call: Callable[[], None]) -> None:
        """Make a call in the thread, before any later call; never waits."""
        if self._thread.is_current():
            call()
        elif not self.is_closed:
            self._thread.post(call)

    # Transactions

    def commit(self) -> None:
        """Commit; outside a transaction do nothing, without a hop."""
        if self._thread.is_busy() or self.in_transaction:
            self.perform("COMMIT", super().commit)

    def rollback(self) -> None:
        """Roll back; outside a transaction do nothing, without a hop."""
        if self._thread.is_busy() or self.in_transaction:
            self.perform("ROLLBACK", super().rollback)
        self.has_lost_transaction = False

    @property
    def isolation_level(self) -> Any:
        """Return the kind of transaction that sqlite3 begins implicitly, None for none."""
        return super().isolation_level

    @isolation_level.setter
    def isolation_level(self, level: Any) -> None:
        change = functools.partial(_isolation_level.__set__, self, level)
        if self._thread.is_busy() or self.in_transaction:
            self.perform("COMMIT", change)  # sqlite3 commits when the level becomes None
        else:
            change()

    def __exit__(self, *error: Any) -> Any:
        return self.perform("COMMIT", lambda: super(Connection, self).__exit__(*error))

    # For the pool

    def use_wal(self) -> None:
        """Turn write-ahead logging on; if that fails, the file keeps its journal mode.

        Called in the thread, while the connection is opened.
        """
        mode = patience.use_wal(self, self._timeout)
        if mode != "wal":
            logger.info("%s is used without write-ahead logging: %s", self._path, mode)

    def is_clean(self) -> bool:
        """Return whether there is no running, half-read or uncommitted statement."""
        return not (
            self.is_closed
            or self._thread.is_busy()
            or self.in_transaction
            or self.has_lost_transaction
            or self._unread
        )

    def make_clean(self, seconds: float) -> None:
        """Interrupt what runs, close half-read cursors, and roll back.

        Raises:
            TimeoutError: the call does not stop, for example a Python function that waits.
        """
        if not self._thread.stop(seconds):
            raise TimeoutError("the statement could not be stopped")
        self.in_thread(self.close_unread)
        self.rollback()
        self.isolation_level = None

    def check_file(self) -> None:
        """Raise if the path no longer leads to the file that was opened."""
        if files.identity(self._path) != self._file:
            raise sqlite3.OperationalError(f"{self._path} was replaced or removed")

    def close(self) -> None:
        """Close the connection when the running call has ended, and wait for that."""
        if self.is_closed:
            return
        if self._thread.is_current():
            self._close()
            return
        self.admit()
        self.is_closed = True
        self._thread.interrupt()
        wait = self._thread.post(self._close)
        self._thread.end()
        wait()

    def _close(self) -> None:
        try:
            super().close()
        finally:
            self.is_closed = True
            self._is_open = False
            self._turn.give_on()

    def __del__(self) -> None:
        if not self.is_closed:
            self._thread.end()
            self._turn.give_on()
