"""psycopg 3: waits on the hub, and stops a statement when its greenlet is killed."""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Callable, Generator, Iterator
from operator import attrgetter
from typing import Any, TypeVar

import gevent
import psycopg
from psycopg import capabilities, generators
from psycopg.pq import TransactionStatus

from concurrency.db.cleaning import KILL_BUDGET, PATIENCE
from concurrency.db.drivers import cancelling
from concurrency.db.waiting import SocketWaiter

R = TypeVar("R")

logger = logging.getLogger("concurrency.db")

# The first become part of the next BEGIN, the others of what cursors do. Asked for at the end of
# each lease, so almost without a step of Python.
_ATTRIBUTES = attrgetter(
    "modes", "prepare_threshold", "row_factory", "cursor_factory", "server_cursor_factory"
)

_IDLE = TransactionStatus.IDLE

# Seconds until the next statement of a killed pipeline is cancelled.
_CANCEL_AGAIN = 0.05


class Connection(psycopg.Connection[Any]):
    """A connection whose statements wait on the hub, without polling.

    A greenlet that is killed while it waits for a statement has it cancelled on
    the server first, so that the connection stays usable: savepoints and
    transactions around the statement end as they do after any error.
    """

    #: The time zone that the session is known to have.
    time_zone: str | None = None
    #: Isolation level, read only and deferrable of the transactions to come.
    modes: tuple[Any, Any, Any] = (None, None, None)
    _waiter: SocketWaiter | None = None
    # Whether a kill has arrived in a pipeline.
    _was_killed = False
    #: Whether something could not be stopped, or a request to stop it is still under way.
    is_given_up = False

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

    # The setters of the properties call these.

    def set_isolation_level(self, value: psycopg.IsolationLevel | None) -> None:
        """Set it for the transactions to come, as psycopg's."""
        super().set_isolation_level(value)
        self._note_modes()

    def set_read_only(self, value: bool | None) -> None:
        """Set it for the transactions to come, as psycopg's."""
        super().set_read_only(value)
        self._note_modes()

    def set_deferrable(self, value: bool | None) -> None:
        """Set it for the transactions to come, as psycopg's."""
        super().set_deferrable(value)
        self._note_modes()

    def _note_modes(self) -> None:
        self.modes = self.isolation_level, self.read_only, self.deferrable

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


class Psycopg3:
    """The pool's view of psycopg 3; see ``concurrency.db.driver.Driver``."""

    error = psycopg.Error
    attributes = _ATTRIBUTES

    def fileno(self, raw: Any) -> int:
        return int(raw.pgconn.socket)

    def is_closed(self, raw: Any) -> bool:
        return bool(raw.closed)

    def is_clean(self, raw: Any) -> bool:
        # The status of a closed connection is UNKNOWN, of one in use ACTIVE.
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
