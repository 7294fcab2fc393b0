"""Reads the server's responses to their end, even if the reading greenlet is killed.

After a kill this module stops the statement on the server, reads the rest of the response,
and then raises the kill.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, TypeVar

from pymysql.connections import Connection, MySQLResult
from pymysql.constants import COMMAND
from pymysql.err import Error, InternalError
from pymysql.protocol import EOFPacketWrapper

from concurrency.db.drivers.driver import KILL_BUDGET
from concurrency.db.drivers.pymysql.control import Session
from concurrency.db.drivers.pymysql.stream import TimedOut
from concurrency.db.drivers.waiter import WRITE

R = TypeVar("R")

logger = logging.getLogger("concurrency.db")

# A KILL that arrives before the server has started the statement is lost, so it is sent
# again after this many seconds.
_KILL_AGAIN = 0.25

# An error packet has no transaction status. These cannot have begun one if they fail.
_BEGIN_NOTHING = ("select", "insert", "update", "delete", "replace", "create", "savepoint")

# These end soon, and the end of the transaction must be certain: Django continues with
# SET AUTOCOMMIT = 1, which would commit the rest of it.
_NEVER_KILLED = ("commit", "rollback", "savepoint", "release", "set auto")


def _is_of_server(error: Error) -> bool:
    code = error.args[0] if error.args else None
    return isinstance(code, int) and not 2000 <= code < 3000


class Stop:
    """A kill that is deferred until the statement has ended."""

    def __init__(self, kill: BaseException | None) -> None:
        self.kill = kill
        self.give_up = time.monotonic() + KILL_BUDGET
        self.next_kill = 0.0
        #: Whether the statement has ended and only cleanup remains.
        self.settling = kill is None

    def left(self) -> float:
        return self.give_up - time.monotonic()


# PyMySQL's type hints do not cover the methods overridden here.
_MySQLResult: Any = MySQLResult
_MySQLConnection: Any = Connection


class Result(_MySQLResult):  # type: ignore[misc]
    """A result that keeps the session status at the end of rows, which PyMySQL drops."""

    def _check_packet_is_eof(self, packet: Any) -> bool:
        if not packet.is_eof_packet():
            return False
        end: Any = EOFPacketWrapper(packet)
        self.warning_count = end.warning_count
        self.has_next = end.has_next
        self.connection.server_status = end.server_status
        return True

    def _read_rowdata_packet_unbuffered(self) -> Any:
        if not self.unbuffered_active:
            return None
        return self.connection.receive(super()._read_rowdata_packet_unbuffered)

    def _finish_unbuffered_query(self) -> None:
        if self.unbuffered_active:
            self.connection.receive(super()._finish_unbuffered_query)

    def finish(self) -> None:
        """Read the remaining rows of an unbuffered result."""
        self._finish_unbuffered_query()


class Answers(_MySQLConnection):  # type: ignore[misc]
    """The part of a connection that tracks the response that the server still owes."""

    session: Session
    _control: Any = None  # of Control
    _stream: Any = None  # of Stream
    _stop: Stop | None = None
    #: Whether kills are deferred.
    _patient = True
    #: The command whose response has not been read to its end.
    _owed: int | None = None
    #: The first characters of the last command.
    _begins: str | bytes = ""
    #: Whether an error may have left a transaction open.
    _doubtful = False
    _result: Any

    def _is_busy(self) -> bool:
        return self._owed is not None or self._has_unread()

    def _has_unread(self) -> bool:
        result = self._result
        return result is not None and bool(result.unbuffered_active or result.has_next)

    def _is_running(self) -> bool:
        """Return whether the server may be executing a statement."""
        return self._owed == COMMAND.COM_QUERY or self._has_unread()

    def _wait(self, events: int) -> None:
        """Wait for the socket; after a kill keep waiting for the end of the statement."""
        if self._stop is None:
            try:
                self._stream.until_ready(events)
                return
            except TimedOut:
                raise
            except BaseException as kill:
                if self._control is None or not self._patient:
                    raise
                self._stop = Stop(kill)
        self._wait_for_end(self._stop, events)

    def _wait_for_end(self, stop: Stop, events: int) -> None:
        """Wait for the rest of a response, within the budget."""
        while (left := stop.left()) > 0:
            if events != WRITE and self._is_kill_due(stop):
                # Wait for its confirmation: the KILL must not hit the next statement.
                self._control.stop(self.session).wait(left)
                stop.next_kill = time.monotonic() + _KILL_AGAIN
            elif self._stream.is_ready_within(min(left, _KILL_AGAIN), events):
                return
        raise TimeoutError(f"the server has not stopped a statement within {KILL_BUDGET:g} s")

    def _is_kill_due(self, stop: Stop) -> bool:
        return time.monotonic() >= stop.next_kill and not self._begins_with(_NEVER_KILLED)

    def receive(self, read: Callable[..., R], *args: Any) -> R:
        """Call a function that reads a response to its end.

        Raises:
            BaseException: a kill received in the meantime, or what ``read`` raises.
        """
        try:
            answer = read(*args)
        except Error as error:
            if not _is_of_server(error):  # PyMySQL's own: no response, or a malformed one
                self._force_close()
            self._owed = None
            self._doubtful = not self._begins_with(_BEGIN_NOTHING)
            if self._stop is not None and not self._stop.settling:
                self._raise_kill(self._stop)
            raise
        except BaseException:
            # The rest of the response would be taken for that of the next statement.
            self._force_close()
            self._stop = None
            raise
        self._owed = None
        self._doubtful = False
        if self._stop is not None and not self._stop.settling:
            self._raise_kill(self._stop)
        return answer

    def _begins_with(self, verbs: tuple[str, ...]) -> bool:
        text = self._begins if isinstance(self._begins, str) else self._begins.decode("latin-1")
        return text.lower().startswith(verbs)

    def _raise_kill(self, stop: Stop) -> NoReturn:
        stop.settling = True
        try:
            self._settle(stop)
        except Error as error:
            logger.warning("a killed statement could not be stopped: %s", error)
        finally:
            self._stop = None
        assert stop.kill is not None  # noqa: S101 - one without is settling from the start
        raise stop.kill

    def _settle(self, stop: Stop) -> None:
        """Read the rest, and ensure that no pending KILL can hit the next statement."""
        with contextlib.suppress(Error):
            if self._result is not None and self._result.unbuffered_active:
                self._result.finish()
            while self._result is not None and self._result.has_next:
                self.next_result()
        if self._sock is not None:
            stop.next_kill = stop.give_up  # nothing is left to kill
            self.ping()

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Do not defer kills inside the block; a kill closes the connection."""
        self._patient = False
        try:
            yield
        finally:
            self._patient = True

    def drop_answer(self) -> None:
        """Cancel a statement whose remaining rows are not needed."""
        if self._owed is not None:
            raise InternalError("in the middle of an answer")
        if self._is_busy():
            self._stop = Stop(None)
            try:
                self._settle(self._stop)
            finally:
                self._stop = None
