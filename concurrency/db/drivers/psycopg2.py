"""psycopg2: waits on the hub, and stops a statement when its greenlet is killed.

psycopg2 closes a connection when its wait callback raises. So the callback of a
killed greenlet cancels the statement, reads what is left of it and returns as if
nothing had happened; the cursor then raises the kill again.
"""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Callable
from typing import Any

import psycopg2
from psycopg2 import extensions

from concurrency.db.drivers import cancelling
from concurrency.db.waiting import READ, WRITE, SocketWaiter

logger = logging.getLogger("concurrency.db")

_IDLE = extensions.TRANSACTION_STATUS_IDLE
_ACTIVE = extensions.TRANSACTION_STATUS_ACTIVE


def _raises_interruption(method: Callable[..., Any]) -> Callable[..., Any]:
    """Raise the kill that arrived while a method of psycopg2 waited."""

    @functools.wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        connection = self if isinstance(self, Connection) else self.connection
        try:
            return method(self, *args, **kwargs)
        finally:
            interruption = getattr(connection, "interruption", None)
            if interruption is not None:
                connection.interruption = None
                raise interruption

    return call


class Connection(extensions.connection):
    """A connection that survives the kill of a greenlet that waits for it."""

    waiter: SocketWaiter | None = None
    #: The time zone that the session is known to have.
    time_zone: str | None = None
    #: What was thrown into the greenlet that waited; raised again by the caller.
    interruption: BaseException | None = None

    commit = _raises_interruption(extensions.connection.commit)
    rollback = _raises_interruption(extensions.connection.rollback)

    def close(self) -> None:
        """Close the connection."""
        if self.waiter is not None:
            self.waiter.close()
            self.waiter = None
        super().close()


_WAITING = (
    "__next__",
    "callproc",
    "close",
    "copy_expert",
    "copy_from",
    "copy_to",
    "execute",
    "executemany",
    "fetchall",
    "fetchmany",
    "fetchone",
    "scroll",
)


@functools.cache
def green_cursor(base: type[extensions.cursor]) -> type[extensions.cursor]:
    """Return a cursor class that raises a kill which arrived during a statement."""
    methods = {name: _raises_interruption(getattr(base, name)) for name in _WAITING}
    return type("Cursor", (base,), methods)


def wait(connection: Any) -> None:
    """Wait for a connection; the callback of ``psycopg2.extensions``."""
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
    # The descriptor changes while a connection is being made.
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
    """Cancel what runs and read what is left of it; return whether that worked."""
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
        # The kill goes on, and psycopg2 closes the connection.
        logger.warning("a killed statement could not be stopped: %r", error)
        return False
    logger.debug("a killed statement ended with: %s", error)
    return not connection.closed


class Psycopg2:
    """The pool's view of psycopg2; see ``concurrency.db.driver.Driver``."""

    error = psycopg2.Error

    def fileno(self, raw: Any) -> int:
        return int(raw.fileno())

    def is_closed(self, raw: Any) -> bool:
        return bool(raw.closed)

    def is_clean(self, raw: Any) -> bool:
        # A kill that nobody has raised must not reach the next holder.
        left = getattr(raw, "interruption", None)
        return left is None and not raw.closed and raw.info.transaction_status == _IDLE

    def attributes(self, raw: Any) -> Any:
        # The first become part of the next BEGIN, the others of what cursors do.
        kinds = raw.cursor_factory, raw.encoding
        return raw.isolation_level, raw.readonly, raw.deferrable, *kinds

    def clean(self, raw: Any, seconds: float) -> None:
        raw.interruption = None
        if raw.info.transaction_status == _ACTIVE and not _stop_statement(raw):
            raise TimeoutError("the statement could not be stopped")
        raw.rollback()
        raw.autocommit = True

    def close_cursor(self, cursor: Any) -> None:
        # One that was not to be held over its transaction is gone already.
        with contextlib.suppress(psycopg2.Error):
            cursor.close()

    def reset(self, raw: Any) -> None:
        raw.autocommit = True
        with raw.cursor() as cursor:
            cursor.execute("DISCARD ALL")

    def ping(self, raw: Any) -> None:
        autocommit, raw.autocommit = raw.autocommit, True
        with raw.cursor() as cursor:
            cursor.execute("SELECT 1")
        raw.autocommit = autocommit

    def close(self, raw: Any) -> None:
        raw.close()
