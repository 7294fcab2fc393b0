"""psycopg 3: waits on the hub, cancels killed statements, and detects changed sessions."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

from concurrency.compat.psycopg import OF_PREPARING, OF_TRANSACTIONS, forget_prepared
from concurrency.db.drivers.postgresql.psycopg3.connection import Connection
from concurrency.db.drivers.postgresql.psycopg3.watching import watch_on_server, watched

__all__ = ["Connection", "Psycopg3", "watch_on_server", "watched"]

# Runs at the end of each lease, so it is implemented in C.
_ATTRIBUTES = attrgetter(
    # These affect the next BEGIN,
    *OF_TRANSACTIONS,
    # these affect cursors,
    "row_factory",
    "cursor_factory",
    "server_cursor_factory",
    *OF_PREPARING,
    "pgconn.pipeline_status",
    # and these affect adapters and handlers of messages.
    "changes.count",
    "handlers",
    "pgconn.notice_handler",
    "pgconn.notify_handler",
)

_IDLE = TransactionStatus.IDLE


class Psycopg3:
    """The pool's view of psycopg 3; see ``concurrency.db.drivers.driver.Driver``."""

    error = psycopg.Error
    attributes = _ATTRIBUTES

    def fileno(self, raw: Any) -> int:
        return int(raw.pgconn.socket)

    def is_closed(self, raw: Any) -> bool:
        return bool(raw.closed)

    def is_clean(self, raw: Any) -> bool:
        # The status of a closed connection is UNKNOWN, that of one in use ACTIVE.
        return raw.pgconn.transaction_status == _IDLE and not raw.is_given_up

    def clean(self, raw: Any, seconds: float) -> None:
        if raw.is_given_up:
            raise TimeoutError("a statement could not be stopped")
        if raw.pgconn.transaction_status == TransactionStatus.ACTIVE:
            raw.stop()
        raw.rollback()
        raw.autocommit = True

    def close_cursor(self, cursor: Any) -> None:
        try:
            cursor.close()
        except psycopg.Error:
            # Gone with its transaction, or when a FETCH from it was cancelled. Only
            # psycopg's side is left, which would warn that the cursor is open.
            psycopg.Cursor.close(cursor)

    def reset(self, raw: Any) -> None:
        if raw.is_beyond_reset:
            raise psycopg.NotSupportedError("a parameter that was made stays until the end")
        raw.autocommit = True
        raw.execute("DISCARD ALL")
        forget_prepared(raw)
        if not raw.handlers:  # handlers have already received the notifications
            for _ in raw.notifies(timeout=0):
                pass  # left from the last holder's LISTEN

    def ping(self, raw: Any) -> None:
        raw.execute("")

    def close(self, raw: Any) -> None:
        raw.close()
