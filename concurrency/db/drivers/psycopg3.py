"""psycopg 3: waits on the hub, and stops a statement when its greenlet is killed."""

from __future__ import annotations

import logging
from collections.abc import Generator
from typing import Any, TypeVar

import gevent
import psycopg
from psycopg import generators
from psycopg.pq import TransactionStatus

from concurrency.db.cleaning import KILL_BUDGET
from concurrency.db.waiting import SocketWaiter

R = TypeVar("R")

logger = logging.getLogger("concurrency.db")

# What psycopg passes so that a wait can be interrupted by Ctrl-C: the hub needs none.
_NO_INTERVAL = 0.1


class Connection(psycopg.Connection[Any]):
    """A connection whose statements wait on the hub, without polling.

    A greenlet that is killed while it waits for a statement has it cancelled on
    the server first, so that the connection stays usable: savepoints and
    transactions around the statement end as they do after any error.
    """

    #: The time zone that the session is known to have.
    time_zone: str | None = None
    _waiter: SocketWaiter | None = None

    def wait(
        self,
        gen: Generator[Any, Any, R],
        interval: float = _NO_INTERVAL,
        *args: Any,
        **kwargs: Any,
    ) -> R:
        """Run one of psycopg's generators to its end."""
        if args or kwargs or interval != _NO_INTERVAL:
            # notifies() with a timeout, and the like: rare, and not about statements.
            return super().wait(gen, interval, *args, **kwargs)
        try:
            wanted = next(gen)
            while True:
                try:
                    ready = self._socket().wait(wanted)
                except BaseException:
                    self._stop_statement(gen, wanted)
                    raise
                wanted = gen.send(ready)
        except StopIteration as stop:
            result: R = stop.value
            return result

    def _socket(self) -> SocketWaiter:
        if self._waiter is None:
            self._waiter = SocketWaiter(self.pgconn.socket)
        return self._waiter

    def _stop_statement(self, gen: Generator[Any, Any, Any], wanted: int) -> None:
        """Cancel the statement that was interrupted and read what is left of it.

        Where it does not work in time the connection stays as it is, and the pool
        closes it: a connection that is not idle is never lent again.
        """
        if (
            self.pgconn.transaction_status != TransactionStatus.ACTIVE
            or self.pgconn.pipeline_status
        ):
            return
        try:
            with gevent.Timeout(KILL_BUDGET, TimeoutError("the server does not answer")):
                self.cancel_safe(timeout=KILL_BUDGET)
                while True:
                    wanted = gen.send(self._socket().wait(wanted))
        except StopIteration:
            logger.debug("a statement had ended before it could be cancelled")
        except psycopg.errors.QueryCanceled:
            logger.debug("a statement was cancelled on the server")
        except Exception as error:  # noqa: BLE001 - the kill goes on, the pool closes it
            logger.warning("a killed statement could not be stopped: %r", error)

    def close(self) -> None:
        """Close the connection."""
        if self._waiter is not None:
            self._waiter.close()
            self._waiter = None
        super().close()


class Psycopg3:
    """The pool's view of psycopg 3; see ``concurrency.db.driver.Driver``."""

    error = psycopg.Error

    def fileno(self, raw: Any) -> int:
        return int(raw.pgconn.socket)

    def is_closed(self, raw: Any) -> bool:
        return bool(raw.closed)

    def is_clean(self, raw: Any) -> bool:
        # The status of a closed connection is UNKNOWN, of one in use ACTIVE.
        return bool(raw.pgconn.transaction_status == TransactionStatus.IDLE)

    def attributes(self, raw: Any) -> Any:
        # They become part of the next BEGIN.
        return raw.isolation_level, raw.read_only, raw.deferrable

    def clean(self, raw: Any, seconds: float) -> None:
        if raw.pgconn.transaction_status == TransactionStatus.ACTIVE:
            raw.cancel_safe(timeout=seconds)
            raw.wait(generators.fetch_many(raw.pgconn))
        raw.rollback()
        raw.autocommit = True

    def close_cursor(self, cursor: Any) -> None:
        try:
            cursor.close()
        except psycopg.Error:
            # Gone with its transaction, or when a FETCH from it was stopped. What is
            # left is psycopg's own side, which would warn that it is open.
            psycopg.Cursor.close(cursor)

    def reset(self, raw: Any) -> None:
        raw.autocommit = True
        raw.execute("DISCARD ALL")

    def ping(self, raw: Any) -> None:
        raw.execute("")

    def close(self, raw: Any) -> None:
        raw.close()
