"""psycopg2: waits on the hub, and cancels a statement when its greenlet is killed.

psycopg2 closes a connection if its wait callback raises. So in a killed greenlet the
callback cancels the statement, reads the rest of its result and returns normally; the
cursor then raises the kill again.
"""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Callable
from typing import Any

import psycopg2
from psycopg2 import extensions

from concurrency.db.drivers.postgresql import cancelling
from concurrency.db.drivers.postgresql.statements import WatchedPostgreSQL
from concurrency.db.drivers.waiter import READ, WRITE, SocketWaiter

logger = logging.getLogger("concurrency.db")

# Methods that only read rows already received, unless the cursor is server-side.
_READING = frozenset({"__next__", "close", "fetchall", "fetchmany", "fetchone", "scroll"})

_IDLE = extensions.TRANSACTION_STATUS_IDLE
_ACTIVE = extensions.TRANSACTION_STATUS_ACTIVE


def _watched(
    method: Callable[..., Any], statement: Callable[[Any], Any] | None = None
) -> Callable[..., Any]:
    """Check the statement of a method that waits; afterwards raise a kill received in it.

    Args:
        method: a method of psycopg2.
        statement: makes the statement from its first argument, if it executes one.
    """

    only_reads = method.__name__ in _READING

    @functools.wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        connection = self if isinstance(self, Connection) else self.connection
        if not isinstance(connection, Connection):
            return method(self, *args, **kwargs)
        if not only_reads or self.name is not None:
            connection.admit()
        if statement is not None:
            connection.watch(statement(args[0] if args else next(iter(kwargs.values()), None)))
        connection.is_watched = True
        try:
            return method(self, *args, **kwargs)
        finally:
            connection.is_watched = False
            interruption = connection.interruption
            if interruption is not None:
                connection.interruption = None
                raise interruption

    return call


class Connection(WatchedPostgreSQL, extensions.connection):
    """A connection that survives the kill of a greenlet that waits for it."""

    interface_error = psycopg2.InterfaceError
    waiter: SocketWaiter | None = None
    #: The session's time zone, if known.
    time_zone: str | None = None
    #: The exception thrown into the waiting greenlet; the caller raises it again.
    interruption: BaseException | None = None

    commit = _watched(extensions.connection.commit)
    rollback = _watched(extensions.connection.rollback)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        #: Server-side cursors; strong references, as one that the user drops stays open.
        self.server_cursors: list[Any] = []
        super().__init__(*args, **kwargs)

    def cursor(  # type: ignore[override]
        self, name: str | None = None, cursor_factory: Any = None, **options: Any
    ) -> Any:
        """Return a watched cursor of the given class."""
        kind: Any = cursor_factory or self.cursor_factory
        cursor = super().cursor(name, cursor_factory=green_cursor(kind), **options)
        if name is not None:
            self.server_cursors.append(cursor)
        return cursor

    def close(self) -> None:
        """Close the connection."""
        self.admit()
        if self.waiter is not None:
            self.waiter.close()
            self.waiter = None
        super().close()


_EXECUTING: dict[str, Callable[[Any], Any]] = {
    "callproc": "{}(".format,
    "copy_expert": lambda sql: sql,
    "execute": lambda sql: sql,
    "executemany": lambda sql: sql,
}
_WAITING = (
    "__next__",
    "close",
    "copy_from",
    "copy_to",
    "fetchall",
    "fetchmany",
    "fetchone",
    "scroll",
)


class _Green:
    """Marks a class made by ``green_cursor``."""


@functools.cache
def green_cursor(base: type[extensions.cursor]) -> type[extensions.cursor]:
    """Return a subclass that checks statements and raises a kill received during one."""
    if issubclass(base, _Green):
        return base
    methods = {name: _watched(getattr(base, name)) for name in _WAITING}
    methods |= {name: _watched(getattr(base, name), sql) for name, sql in _EXECUTING.items()}
    return type("Cursor", (_Green, base), methods)


@functools.cache
def green_connection(base: type[extensions.connection]) -> type[extensions.connection]:
    """Return a subclass of a connection class that survives kills."""
    if issubclass(base, Connection):
        return base
    return type(base.__name__, (Connection, base), {"__module__": base.__module__})


def wait(connection: Any) -> None:
    """Wait for a connection; the callback of ``psycopg2.extensions``."""
    if isinstance(connection, Connection) and not connection.is_watched:
        connection.note_change(None)  # by a cursor, or a method, that is not watched
    while True:
        state = connection.poll()
        if state == extensions.POLL_OK:
            return
        events = READ if state == extensions.POLL_READ else WRITE
        try:
            _waiter_of(connection).wait(events)
        except BaseException as interruption:
            if not _stop_statement(connection):
                raise
            connection.interruption = interruption
            return


def _waiter_of(connection: Any) -> SocketWaiter:
    # The descriptor can change while a connection is being established.
    waiter: SocketWaiter | None = getattr(connection, "waiter", None)
    fileno = connection.fileno()
    if waiter is None or waiter.fileno != fileno:
        waiter = SocketWaiter(fileno)
        if isinstance(connection, Connection):
            if connection.waiter is not None:
                connection.waiter.close()
            connection.waiter = waiter
    return waiter


def _stop_statement(connection: Any) -> bool:
    """Cancel the running statement and read the rest of it; return whether that worked."""
    if not isinstance(connection, Connection) or connection.info.transaction_status != _ACTIVE:
        return False
    server = connection.info.host, connection.info.port

    def request() -> None:
        cancelling.patiently(cancelling.request_for(connection.pgconn_ptr, server))

    def read() -> None:
        while (state := connection.poll()) != extensions.POLL_OK:
            _waiter_of(connection).wait(READ if state == extensions.POLL_READ else WRITE)

    try:
        error = cancelling.stop(request, read)
    except TimeoutError as late:
        error = late
    if error is not None and not isinstance(error, psycopg2.Error):
        # The kill propagates, and psycopg2 closes the connection.
        logger.warning("a killed statement could not be stopped: %r", error)
        return False
    logger.debug("a killed statement ended with: %s", error)
    return not connection.closed


def _kind_of(messages: Any) -> Any:
    """Return what to compare of a receiver of messages: for a list its type, not its content."""
    return list if type(messages) is list else messages


class Psycopg2:
    """The pool's view of psycopg2; see ``concurrency.db.drivers.driver.Driver``."""

    error = psycopg2.Error

    def fileno(self, raw: Any) -> int:
        return int(raw.fileno())

    def is_closed(self, raw: Any) -> bool:
        return bool(raw.closed)

    def is_clean(self, raw: Any) -> bool:
        # A kill that was not raised must not reach the next holder.
        left = getattr(raw, "interruption", None)
        if left is not None or raw.closed or raw.info.transaction_status != _IDLE:
            return False
        return not (raw.notices or raw.notifies)

    def attributes(self, raw: Any) -> Any:
        # The first three affect the next BEGIN, the others affect cursors and messages.
        return (
            raw.isolation_level,
            raw.readonly,
            raw.deferrable,
            raw.cursor_factory,
            raw.encoding,
            raw.string_types.copy(),
            raw.binary_types.copy(),
            _kind_of(raw.notices),
            _kind_of(raw.notifies),
        )

    def clean(self, raw: Any, seconds: float) -> None:
        raw.interruption = None
        # Messages for the last holder.
        raw.notices, raw.notifies = [], []
        if raw.info.transaction_status == _ACTIVE and not _stop_statement(raw):
            raise TimeoutError("the statement could not be stopped")
        raw.rollback()
        raw.autocommit = True

    def close_cursor(self, cursor: Any) -> None:
        # A cursor without hold ended with its transaction.
        with contextlib.suppress(psycopg2.Error):
            cursor.close()

    def reset(self, raw: Any) -> None:
        if raw.is_beyond_reset:
            raise psycopg2.NotSupportedError("a parameter that was made stays until the end")
        raw.autocommit = True
        with raw.cursor() as cursor:
            cursor.execute("DISCARD ALL")
        raw.notices, raw.notifies = [], []

    def ping(self, raw: Any) -> None:
        autocommit, raw.autocommit = raw.autocommit, True
        with raw.cursor() as cursor:
            cursor.execute("SELECT 1")
        raw.autocommit = autocommit

    def close(self, raw: Any) -> None:
        raw.close()
