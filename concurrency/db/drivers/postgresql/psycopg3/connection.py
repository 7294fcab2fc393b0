"""psycopg 3: waits on the hub, and stops a statement when its greenlet is killed."""

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

    A greenlet that is killed while it waits for a statement has it cancelled on
    the server first, so that the connection stays usable: savepoints and
    transactions around the statement end as they do after any error.
    """

    #: The time zone that the session is known to have.
    time_zone: str | None = None
    #: What is called with what the server tells: of which kind it is, and the callable.
    handlers: tuple[tuple[str, Any], ...] = ()
    interface_error = psycopg.InterfaceError
    _watched_adapters: WatchedAdapters | None = None
    _waiter: SocketWaiter | None = None
    # Whether a kill has arrived in a pipeline.
    _was_killed = False
    #: Whether something could not be stopped, or a request to stop it is still under way.
    is_given_up = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        kinds: tuple[Any, Any] = self.cursor_factory, self.server_cursor_factory
        self.cursor_factory, self.server_cursor_factory = map(watched, kinds)
        #: Cursors on the server that were made; strong, as one that nobody has is still open.
        self.server_cursors: list[Any] = []
        #: Of adapters and types.
        self.changes = Changes()

    # What a holder does with it

    def _start_query(self) -> Any:
        # By whatever cursor: also by one that psycopg's classes were asked for directly.
        if not self.is_watched:
            self.note_change(None)
        return super()._start_query()

    @property
    def adapters(self) -> AdaptersMap:
        """The adapters of this connection, as psycopg's; that they were changed is noticed."""
        if self._watched_adapters is None:
            self._watched_adapters = WatchedAdapters(super().adapters, self.changes)
        return self._watched_adapters

    def add_notice_handler(self, callback: Any) -> None:
        """Have a callable see the server's notices, as psycopg's."""
        super().add_notice_handler(callback)
        self.handlers = (*self.handlers, ("notice", callback))

    def remove_notice_handler(self, callback: Any) -> None:
        """Have it see them no more, as psycopg's."""
        super().remove_notice_handler(callback)
        self._remove_handler("notice", callback)

    def add_notify_handler(self, callback: Any) -> None:
        """Have a callable see notifications, as psycopg's."""
        super().add_notify_handler(callback)
        self.handlers = (*self.handlers, ("notify", callback))

    def remove_notify_handler(self, callback: Any) -> None:
        """Have it see them no more, as psycopg's."""
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

        Without a limit of time, as for statements and ``notifies()``, nothing wakes up
        before the server has sent something.
        """
        if self.guard is not None and self.guard.is_wanted:
            self.admit()
        if timeout is not None:
            # Rare, and not about statements. Their interval is for Ctrl-C: the hub needs none.
            return super().wait(gen, timeout, timeout)
        if interval is not None:
            # psycopg before 3.3 waits for notifications with a limit in such steps.
            return super().wait(gen, interval)
        if self._was_killed:
            return self._wait_for_end(gen)
        return self._wait(gen)

    def _wait(self, gen: Generator[Any, Any, R]) -> R:
        try:
            # Before the generator begins, as in psycopg's own wait: of a lost connection it raises
            # what its loss is, where the generator would complain of what it was about to do.
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
            # What a generator still wants to do at its end fails in the same way.
            with contextlib.suppress(psycopg.Error, RuntimeError):
                gen.close()
            raise

    def _socket(self) -> SocketWaiter:
        # Asked each time, and raises when there is none: libpq closes its socket by itself
        # when the server has gone, and to watch a closed one would end the process.
        fileno = self.pgconn.socket
        if self._waiter is None:
            self._waiter = SocketWaiter(fileno)
        return self._waiter

    def _stop_statement(self, gen: Generator[Any, Any, Any], wanted: int) -> None:
        """Cancel the statement that was interrupted and read what is left of it.

        Where it does not work in time the connection stays as it is, and the pool
        closes it: a connection that is not idle is never lent again.
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
        else:  # the kill goes on, the pool closes it
            logger.warning("a killed statement could not be stopped: %r", error)

    def _cancel_until_done(
        self, read: Callable[[], object], again: float = cancelling.AGAIN
    ) -> Exception | None:
        """Cancel what runs until ``read`` has read it to its end; return what that raised."""
        request = functools.partial(self.cancel_safe, timeout=KILL_BUDGET)
        return cancelling.stop(request, read, again)

    def stop(self) -> None:
        """Stop a statement whose holder has gone.

        Raises:
            psycopg.Error: it could not be stopped.
            TimeoutError: the server has not stopped it in time.
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
        """Have the server stop what it does. As psycopg's, but blocks the hub with no libpq.

        A request that is not heard in time goes on, so that a frozen server is told when it
        is back. Nobody else may have the connection then: it could hit the next statement.
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
        """Begin a pipeline; who is killed in it does not wait for what it has sent."""
        with super().pipeline() as pipeline:
            try:
                yield pipeline
            except Exception:
                raise
            except BaseException:
                self._was_killed = True
                raise

    def _wait_for_end(self, gen: Generator[Any, Any, R]) -> R:
        """Wait for what a killed pipeline has sent, cancelling one statement after the other."""
        if self.is_given_up:
            raise psycopg.OperationalError("a killed pipeline could not be stopped")
        if not self.pgconn.pipeline_status:
            self._was_killed = False
            return self._wait(gen)
        results: list[R] = []
        try:
            error = self._cancel_until_done(lambda: results.append(self._wait(gen)), _CANCEL_AGAIN)
        except TimeoutError:
            # The pool closes it: a connection that is not idle is never lent again.
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
    """Go on with a generator that waits for ``wanted``."""
    try:
        while True:
            wanted = gen.send((yield wanted))
    except StopIteration as stop:
        result: R = stop.value
        return result
    finally:
        gen.close()
