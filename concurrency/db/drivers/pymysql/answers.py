"""Reading the answers of a server to their end, also when the reader is killed.

It owns the moment of a kill: that the statement stops on the server, that nothing of
its answer is left over, and that the kill is raised then.
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

# A KILL that arrives before the server has begun with a statement is lost, so it is
# sent again after this many seconds.
_KILL_AGAIN = 0.25

# An error says nothing about transactions. These cannot have begun one when they fail.
_BEGIN_NOTHING = ("select", "insert", "update", "delete", "replace", "create", "savepoint")

# These end by themselves, and whether a transaction was rolled back must not be in doubt:
# Django goes on with SET AUTOCOMMIT = 1, which would commit what is left of it.
_NEVER_KILLED = ("commit", "rollback", "savepoint", "release", "set auto")


def _is_of_server(error: Error) -> bool:
    code = error.args[0] if error.args else None
    return isinstance(code, int) and not 2000 <= code < 3000


class Stop:
    """A kill that is put off until the statement has ended."""

    def __init__(self, kill: BaseException | None) -> None:
        self.kill = kill
        self.give_up = time.monotonic() + KILL_BUDGET
        self.next_kill = 0.0
        #: Whether the statement has ended, and only the order is restored.
        self.settling = kill is None

    def left(self) -> float:
        return self.give_up - time.monotonic()


# The type information of PyMySQL knows nothing of what is overridden here.
_MySQLResult: Any = MySQLResult
_MySQLConnection: Any = Connection


class Result(_MySQLResult):  # type: ignore[misc]
    """A result that knows what PyMySQL drops: the session's status at the end of rows."""

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
        """Read what is left of rows that are read one by one."""
        self._finish_unbuffered_query()


class Answers(_MySQLConnection):  # type: ignore[misc]
    """What a connection knows about the answer that the server owes it."""

    session: Session
    _control: Any = None  # of Control
    _stream: Any = None  # of Stream
    _stop: Stop | None = None
    #: Whether kills are put off.
    _patient = True
    #: The command whose answer has not been read to its end.
    _owed: int | None = None
    #: How the last command begins.
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
        """Wait for the socket; goes on waiting for the end when the greenlet is killed."""
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
        """Wait for what is left of an answer, as long as the budget allows."""
        while (left := stop.left()) > 0:
            if events != WRITE and self._is_kill_due(stop):
                # Confirmed before anything else is done here: it must not hit what comes next.
                self._control.stop(self.session).wait(left)
                stop.next_kill = time.monotonic() + _KILL_AGAIN
            elif self._stream.is_ready_within(min(left, _KILL_AGAIN), events):
                return
        raise TimeoutError(f"the server has not stopped a statement within {KILL_BUDGET:g} s")

    def _is_kill_due(self, stop: Stop) -> bool:
        return time.monotonic() >= stop.next_kill and not self._begins_with(_NEVER_KILLED)

    def receive(self, read: Callable[..., R], *args: Any) -> R:
        """Call what reads an answer to its end.

        Raises:
            BaseException: the kill that arrived meanwhile, or what ``read`` raises.
        """
        try:
            answer = read(*args)
        except Error as error:
            if not _is_of_server(error):  # but PyMySQL's own: no answer, or none that fits
                self._force_close()
            self._owed = None
            self._doubtful = not self._begins_with(_BEGIN_NOTHING)
            if self._stop is not None and not self._stop.settling:
                self._raise_kill(self._stop)
            raise
        except BaseException:
            # The rest of the answer would be taken for that of the next statement.
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
        """Read what is left, and make sure that no KILL is left to hit the next statement."""
        with contextlib.suppress(Error):
            if self._result is not None and self._result.unbuffered_active:
                self._result.finish()
            while self._result is not None and self._result.has_next:
                self.next_result()
        if self._sock is not None:
            stop.next_kill = stop.give_up  # nothing is left to be killed
            self.ping()

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Let kills through inside the block; they close the connection."""
        self._patient = False
        try:
            yield
        finally:
            self._patient = True

    def drop_answer(self) -> None:
        """Stop a statement whose rows nobody wants to read."""
        if self._owed is not None:
            raise InternalError("in the middle of an answer")
        if self._is_busy():
            self._stop = Stop(None)
            try:
                self._settle(self._stop)
            finally:
                self._stop = None
