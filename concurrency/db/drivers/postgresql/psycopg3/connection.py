"""psycopg 3: waits on the hub, and cancels a statement when its greenlet is killed."""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Callable, Generator, Iterator
from typing import Any, TypeVar

import gevent
import psycopg
from psycopg import capabilities, generators
from psycopg.adapt import AdaptersMap
from psycopg.pq import TransactionStatus

from concurrency.db.drivers.driver import KILL_BUDGET, PATIENCE
from concurrency.db.drivers.postgresql import cancelling
from concurrency.db.drivers.postgresql.psycopg3.watching import WatchedAdapters, watched
from concurrency.db.drivers.postgresql.statements import WatchedPostgreSQL
from concurrency.db.drivers.waiter import SocketWaiter
from concurrency.db.drivers.watching import Changes

R = TypeVar("R")

logger = logging.getLogger("concurrency.db")

# Seconds until the next statement of a killed pipeline is cancelled.
_CANCEL_AGAIN = 0.05


class Connection(WatchedPostgreSQL, psycopg.Connection[Any]):
    """A connection whose statements wait on the hub, without polling.

    If a greenlet is killed while it waits for a statement, the statement is cancelled on
    the server first, so that the connection stays usable: savepoints and transactions
    around the statement end as after any error.
    """

    #: The session's time zone, if known.
    time_zone: str | None = None
    #: The handlers of notices and notifications: their kind, and the callable.
    handlers: tuple[tuple[str, Any], ...] = ()
    interface_error = psycopg.InterfaceError
    _watched_adapters: WatchedAdapters | None = None
    _waiter: SocketWaiter | None = None
    # Whether a kill has arrived in a pipeline.
    _was_killed = False
    #: Whether a statement could not be cancelled, or a cancel request is still in progress.
    is_given_up = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        kinds: tuple[Any, Any] = self.cursor_factory, self.server_cursor_factory
        self.cursor_factory, self.server_cursor_factory = map(watched, kinds)
        #: Server-side cursors; strong references, as one that the user drops stays open.
        self.server_cursors: list[Any] = []
        #: Counts changes of adapters and types.
        self.changes = Changes()

    # What a holder does with it

    def _start_query(self) -> Any:
        # Every cursor comes here, including one made directly from psycopg's classes.
        if not self.is_watched:
            self.note_change(None)
        return super()._start_query()

    @property
    def adapters(self) -> AdaptersMap:
        """The adapters of this connection, as in psycopg; changes to them are counted."""
        if self._watched_adapters is None:
            self._watched_adapters = WatchedAdapters(super().adapters, self.changes)
        return self._watched_adapters

    def add_notice_handler(self, callback: Any) -> None:
        """Register a callable for the server's notices, as in psycopg."""
        super().add_notice_handler(callback)
        self.handlers = (*self.handlers, ("notice", callback))

    def remove_notice_handler(self, callback: Any) -> None:
        """Remove a callable for notices, as in psycopg."""
        super().remove_notice_handler(callback)
        self._remove_handler("notice", callback)

    def add_notify_handler(self, callback: Any) -> None:
        """Register a callable for notifications, as in psycopg."""
        super().add_notify_handler(callback)
        self.handlers = (*self.handlers, ("notify", callback))

    def remove_notify_handler(self, callback: Any) -> None:
        """Remove a callable for notifications, as in psycopg."""
        super().remove_notify_handler(callback)
        self._remove_handler("notify", callback)

    def _remove_handler(self, kind: str, callback: Any) -> None:
        handlers = list(self.handlers)
        handlers.remove((kind, callback))
        self.handlers = tuple(handlers)

    # Waiting

    def wait(
        self,
        gen: Generator[Any, Any, R],
        interval: float | None = None,
        timeout: float | None = None,
    ) -> R:
        """Run one of psycopg's generators to its end.

        Without a time limit, as for statements and ``notifies()``, nothing wakes up until
        the server sends data.
        """
        if self.guard is not None and self.guard.is_wanted:
            self.admit()
        if timeout is not None:
            # Rare, and not for statements. psycopg's interval serves Ctrl-C; the hub needs none.
            return super().wait(gen, timeout, timeout)
        if interval is not None:
            # psycopg before 3.3 uses such steps to wait for notifications with a limit.
            return super().wait(gen, interval)
        if self._was_killed:
            return self._wait_for_end(gen)
        return self._wait(gen)

    def _wait(self, gen: Generator[Any, Any, R]) -> R:
        try:
            # Before the generator begins, as in psycopg's own wait: for a lost connection this
            # raises the loss itself; the generator would raise an error about its next step.
            self.pgconn.socket  # noqa: B018
            wanted = next(gen)
            while True:
                waiter = self._socket()
                try:
                    ready = waiter.wait(wanted)
                except BaseException:
                    self._stop_statement(gen, wanted)
                    raise
                wanted = gen.send(ready)
        except StopIteration as stop:
            result: R = stop.value
            return result
        except psycopg.Error:
            # Cleanup steps of the generator fail in the same way.
            with contextlib.suppress(psycopg.Error, RuntimeError):
                gen.close()
            raise

    def _socket(self) -> SocketWaiter:
        # Read each time, and raises without a socket: libpq closes its socket by itself if
        # the server is gone, and watching a closed one would abort the process.
        fileno = self.pgconn.socket
        if self._waiter is None:
            self._waiter = SocketWaiter(fileno)
        return self._waiter

    def _stop_statement(self, gen: Generator[Any, Any, Any], wanted: int) -> None:
        """Cancel the interrupted statement and read the rest of its result.

        If that does not work in time, the connection stays as it is and the pool closes
        it: a connection that is not idle is never leased again.
        """
        if self._was_killed:
            return
        if self.pgconn.pipeline_status:
            self._was_killed = True
            with contextlib.suppress(psycopg.Error):
                self._wait_for_end(_rest(gen, wanted))
            return
        if self.pgconn.transaction_status != TransactionStatus.ACTIVE:
            return

        def read() -> None:
            asked = wanted
            while True:
                asked = gen.send(self._socket().wait(asked))

        try:
            error = self._cancel_until_done(read)
        except TimeoutError as late:
            error = late
        if isinstance(error, StopIteration):
            logger.debug("a statement had ended before it could be cancelled")
        elif isinstance(error, psycopg.errors.QueryCanceled):
            logger.debug("a statement was cancelled on the server")
        else:  # the kill propagates, the pool closes the connection
            logger.warning("a killed statement could not be stopped: %r", error)

    def _cancel_until_done(
        self, read: Callable[[], object], again: float = cancelling.AGAIN
    ) -> Exception | None:
        """Cancel the running statement until ``read`` is done; return what ``read`` raised."""
        request = functools.partial(self.cancel_safe, timeout=KILL_BUDGET)
        return cancelling.stop(request, read, again)

    def stop(self) -> None:
        """Cancel a statement whose holder is gone.

        Raises:
            psycopg.Error: the statement could not be cancelled.
            TimeoutError: the server did not cancel it in time.
        """

        def read() -> None:
            self._wait(generators.fetch_many(self.pgconn))
            while self.pgconn.transaction_status == TransactionStatus.ACTIVE:  # in a COPY
                with contextlib.suppress(psycopg.errors.QueryCanceled):
                    self._wait(generators.copy_from(self.pgconn))

        error = self._cancel_until_done(read)
        if error is not None:
            raise error

    def cancel_safe(self, *, timeout: float = 30.0) -> None:
        """Cancel the running statement, as in psycopg, but without blocking in any libpq.

        A request that times out stays in progress, so that a frozen server receives it when
        it is back. The connection must not be reused then: it could hit the next statement.
        """
        if not self._should_cancel():
            return
        request = functools.partial(super().cancel_safe, timeout=PATIENCE)
        if not capabilities.has_cancel_safe():
            server = self.info.host, self.info.port
            cancel = self.pgconn.get_cancel().cancel
            request = functools.partial(cancelling.in_thread, server, cancel)
        sent = cancelling.send(request)
        late = psycopg.errors.CancellationTimeout("the server does not answer")
        try:
            with gevent.Timeout(timeout, late):
                error = sent.get()
        finally:
            self.is_given_up = self.is_given_up or not sent.ready()
        if error is not None:
            raise error

    @contextlib.contextmanager
    def pipeline(self) -> Iterator[psycopg.Pipeline]:
        """Begin a pipeline; a greenlet killed in it does not wait for what it has sent."""
        with super().pipeline() as pipeline:
            try:
                yield pipeline
            except Exception:
                raise
            except BaseException:
                self._was_killed = True
                raise

    def _wait_for_end(self, gen: Generator[Any, Any, R]) -> R:
        """Wait for the statements of a killed pipeline, and cancel one after the other."""
        if self.is_given_up:
            raise psycopg.OperationalError("a killed pipeline could not be stopped")
        if not self.pgconn.pipeline_status:
            self._was_killed = False
            return self._wait(gen)
        results: list[R] = []
        try:
            error = self._cancel_until_done(lambda: results.append(self._wait(gen)), _CANCEL_AGAIN)
        except TimeoutError:
            # The pool closes it: a connection that is not idle is never leased again.
            self.is_given_up = True
            raise psycopg.OperationalError("the server does not stop a killed pipeline") from None
        if error is not None:
            raise error
        return results[0]

    def close(self) -> None:
        """Close the connection."""
        self.admit()
        if self._waiter is not None:
            self._waiter.close()
            self._waiter = None
        super().close()


def _rest(gen: Generator[Any, Any, R], wanted: Any) -> Generator[Any, Any, R]:
    """Continue a generator that waits for ``wanted``."""
    try:
        while True:
            wanted = gen.send((yield wanted))
    except StopIteration as stop:
        result: R = stop.value
        return result
    finally:
        gen.close()
