"""A PyMySQL connection that waits on the hub and survives the kill of its greenlet.

PyMySQL cannot resume reading a response, and closes the connection instead. So a kill of a
waiting greenlet is deferred: the statement is killed on the server, PyMySQL reads the
response to its end, which comes soon then, and the method that waited raises the kill;
``answers`` has the details.
"""

from __future__ import annotations

import struct
from typing import Any, ClassVar

from pymysql.constants import COMMAND, SERVER_STATUS
from pymysql.err import Error, InterfaceError

from concurrency.db.drivers.pymysql.answers import Answers, Result
from concurrency.db.drivers.pymysql.control import Control, Session
from concurrency.db.drivers.pymysql.stream import Stream
from concurrency.db.drivers.pymysql.watching import watched
from concurrency.db.drivers.sessions import changes_mysql
from concurrency.db.drivers.watching import Changes, CountedDict, WatchedSession

_COM_RESET_CONNECTION = 0x1F
_QUIT = struct.pack("<iB", 1, COMMAND.COM_QUIT)

_IN_TRANSACTION = SERVER_STATUS.SERVER_STATUS_IN_TRANS
_AUTOCOMMIT = SERVER_STATUS.SERVER_STATUS_AUTOCOMMIT


class Connection(WatchedSession, Answers):
    """A connection that survives the kill of a greenlet that waits for it.

    Args:
        control: cancels statements; without it (None) a kill closes the connection.
        **parameters: PyMySQL's.

    Attributes:
        session: its number and server, for ``KILL``.
    """

    changes_session = staticmethod(changes_mysql)
    interface_error = InterfaceError
    _context: ClassVar[Any] = None
    _sock: Any
    _rfile: Any
    _closed: bool
    _affected_rows: int
    encoders: dict[Any, Any]
    decoders: dict[Any, Any]

    def __init__(self, *, control: Control | None = None, **parameters: Any) -> None:
        super().__init__(**parameters)
        # Set afterwards: while the connection is being opened the pool handles a kill.
        self._control = control
        self.changes = Changes()
        self.encoders = CountedDict(self.encoders, self.changes)
        self.decoders = CountedDict(self.decoders, self.changes)

    def _create_ssl_ctx(self, options: Any) -> Any:
        """Return the TLS context; without options all connections share one.

        Creating one reads all certificates of the system, which costs tens of milliseconds
        of CPU time, and this one verifies nothing.
        """
        if options:
            return super()._create_ssl_ctx(options)
        if Connection._context is None:
            Connection._context = super()._create_ssl_ctx(options)
        return Connection._context

    def connect(self, sock: Any = None) -> None:
        """Connect or reconnect, and query the session's number and server."""
        self._leave()
        self._result = None
        super().connect(sock)
        self._rfile.close()
        self._stream = self._sock = Stream(self._sock, self._wait)
        self._rfile = self._stream.reader()
        self._owed = None
        self._doubtful = False
        result = self._result, self._affected_rows
        try:
            # The full number: PyMySQL's thread_id() has only the lower half.
            self.query("SELECT CONNECTION_ID(), @@hostname, @@port")
        except BaseException:
            self._shut()
            raise
        number, *server = self._result.rows[0]
        self.session = Session(int(number), tuple(server))
        # Restore PyMySQL's values: a new connection has inserted nothing yet.
        self._result, self._affected_rows = result

    # What a holder does with it

    def cursor(self, cursor: Any = None) -> Any:
        """Return a watched cursor of the given class."""
        return watched(cursor or self.cursorclass)(self)

    def query(self, sql: Any, unbuffered: bool = False) -> Any:
        """Execute a statement; check it here if no cursor has done so."""
        if not self.is_watched:
            self.watch(sql)
        return super().query(sql, unbuffered)

    def select_db(self, db: Any) -> None:
        """Use another database, until the session is reset."""
        self.note_change(None)
        super().select_db(db)

    # State, without waiting

    def fileno(self) -> int:
        """Return the descriptor of the socket, even if the connection is unusable; or -1."""
        return -1 if self._stream is None else self._stream.fileno()

    def is_gone(self) -> bool:
        """Return whether there is nothing left to close."""
        return self._stream is None

    def is_clean(self) -> bool:
        """Return whether it is open, idle, outside any transaction and in autocommit."""
        status = self.server_status & (_IN_TRANSACTION | _AUTOCOMMIT)
        usable = self._sock is not None and not self._doubtful
        return usable and status == _AUTOCOMMIT and not self._is_busy()

    # PyMySQL's methods, with the response read through ``receive``

    def _read_query_result(self, unbuffered: bool = False) -> int:
        result = self._result = Result(self)
        try:
            self.receive(result.init_unbuffered_query if unbuffered else result.read)
        except BaseException:
            self._result = None
            raise
        if result.server_status is not None:
            self.server_status = result.server_status
        return result.affected_rows  # type: ignore[no-any-return]

    def _read_ok_packet(self) -> Any:
        return self.receive(super()._read_ok_packet)

    def set_character_set(self, charset: str, collation: str | None = None) -> None:
        """Set the character set of the session."""
        self.receive(super().set_character_set, charset, collation)

    def show_warnings(self) -> Any:
        """Return the warnings of the last statement."""
        return self.receive(super().show_warnings)

    def ping(self, reconnect: bool = False) -> None:
        """Make a round trip; reconnect only if ``reconnect`` is true.

        As in PyMySQL, Django has not set up that session; the pool closes it.
        """
        super().ping(reconnect=reconnect)

    def _execute_command(self, command: int, sql: Any) -> None:
        self.admit()
        self._begins = sql[:9]
        try:
            super()._execute_command(command, sql)
        except BaseException:
            stop, self._stop = self._stop, None
            if stop is not None and stop.kill is not None:
                raise stop.kill from None
            raise
        self._owed = command

    def _write_bytes(self, data: bytes) -> None:
        try:
            super()._write_bytes(data)
        except Error:
            raise
        except BaseException:
            self._force_close()  # half a packet may have been sent
            raise

    # For the pool

    def reset(self) -> None:
        """Restore the session to its state after ``connect``."""
        self._execute_command(_COM_RESET_CONNECTION, b"")
        self._read_ok_packet()
        if self.db:
            self.select_db(self.db)
        self.set_character_set(self.charset, self.collation)
        with self.cursor() as cursor:
            if self.sql_mode is not None:
                cursor.execute("SET sql_mode=%s", (self.sql_mode,))
            if self.init_command is not None:
                cursor.execute(self.init_command)
        self.autocommit(True)

    def _force_close(self) -> None:
        """Give the connection up; ``close`` stops what still runs on the server.

        The server keeps executing a statement after its socket is closed, so the socket
        stays open until the ``KILL``.
        """
        keep = self._is_running() and self._control is not None
        if self._result is not None:
            self._result.unbuffered_active = False
            self._result = None
        if keep:
            self._drop_socket()
        else:
            self._shut()

    def _drop_socket(self) -> None:
        if self._rfile is not None:
            self._rfile.close()
        self._sock = self._rfile = None

    def _shut(self) -> None:
        stream, self._stream = self._stream, None
        if stream is None:
            super()._force_close()
        else:
            self._drop_socket()
            stream.close()

    def close(self) -> None:
        """Send ``COM_QUIT`` and close the socket. Does not wait.

        Raises:
            Error: the connection is already closed.
        """
        if self._closed:
            raise Error("Already closed")
        self.admit()
        self._closed = True
        self._leave()
        self._shut()

    def _leave(self) -> None:
        """End the current session, if there is one. Does not wait."""
        if self._stream is not None:
            if self._control is not None and (self._sock is None or self._is_running()):
                self._control.end(self.session)
            elif self._sock is not None:
                self._stream.send_if_possible(_QUIT)
            self._shut()
