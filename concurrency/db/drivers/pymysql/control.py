"""Cancels the statements of other connections to MySQL.

MySQL has no cancel request, and the server keeps executing a statement after its socket is
closed. It stops when another session executes ``KILL``. Each pool opens one such session
when needed, and closes it when no request is left.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import gevent
from gevent.event import Event
from pymysql.constants import ER
from pymysql.err import Error, OperationalError

from concurrency.db.drivers import home
from concurrency.db.drivers.driver import PATIENCE

logger = logging.getLogger("concurrency.db")


@dataclass(frozen=True, slots=True)
class Session:
    """A session on a server, as other sessions refer to it.

    Attributes:
        number: the server's ``CONNECTION_ID()``; later sessions have higher numbers.
        server: ``@@hostname`` and ``@@port`` of the server.
    """

    number: int
    server: tuple[Any, ...]


class Request:
    """One ``KILL``, queued or sent."""

    def __init__(self, what: str, target: Session) -> None:
        self.what = what
        self.target = target
        self.done = Event()
        self.error: Exception | None = None
        self.withdrawn = False

    def wait(self, seconds: float) -> None:
        """Wait until the server has confirmed; on timeout withdraw the request if unsent.

        Raises:
            TimeoutError: the server did not respond in time.
            Exception: the error of the request.
        """
        try:
            self.done.wait(seconds)
        finally:
            self.withdrawn = not self.done.is_set()
        if self.withdrawn:
            raise TimeoutError(f"the server has not answered KILL {self.what} in {seconds:.1f} s")
        if self.error is not None:
            raise self.error

    def send(self, control: Any) -> None:
        """Execute the ``KILL``.

        Raises:
            OperationalError: the control connection has reached another server.
        """
        here: Session = control.session
        if here.server != self.target.server:
            self._refuse(here)
        if here.number < self.target.number:
            return  # the server has restarted, and its session numbers with it
        try:
            control.query(f"KILL {self.what} {self.target.number:d}")
        except Error as error:
            if error.args[0] != ER.NO_SUCH_THREAD:  # the session has already ended
                raise

    def _refuse(self, here: Session) -> NoReturn:
        # There, the number belongs to an unrelated session.
        raise OperationalError(
            ER.NO_SUCH_THREAD,
            f"cannot stop a statement on server {self.target.server}: connecting again leads to "
            f"{here.server}. Give each server a database alias with an address of its own.",
        )


class Control:
    """Sends requests in order, over at most one connection.

    Args:
        connect: opens a connection that has an attribute ``session``.
        close: closes it and waits until the server has ended it.
    """

    def __init__(self, connect: Callable[[], Any], close: Callable[[Any], None]) -> None:
        self._connect = connect
        self._close = close
        self._requests: deque[Request] = deque()
        self._working = False

    def stop(self, target: Session) -> Request:
        """Request the end of the statement that a session executes."""
        return self._request("QUERY", target)

    def end(self, target: Session) -> Request:
        """Request the end of a session in any state."""
        return self._request("CONNECTION", target)

    def _request(self, what: str, target: Session) -> Request:
        request = Request(what, target)
        self._requests.append(request)
        home.run(self._wake)
        return request

    def _wake(self) -> None:
        # Runs only in the home hub's thread, so there is never a second worker.
        if not self._working and self._requests:
            self._working = True
            gevent.spawn(self._work)

    def _work(self) -> None:
        try:
            while self._requests:
                self._serve()
        finally:
            self._working = False

    def _serve(self) -> None:
        """Open the connection, send all requests, and close it again."""
        connection = None
        try:
            with gevent.Timeout(PATIENCE, TimeoutError(f"no answer within {PATIENCE:g} s")):
                while self._requests:
                    if self._requests[0].withdrawn:
                        self._requests.popleft()
                        continue
                    connection = connection or self._connect()
                    self._send_first(connection)
        except Exception as error:  # noqa: BLE001 - raised in the greenlets that wait
            self._fail(error)
        if connection is not None:
            self._close(connection)

    def _send_first(self, connection: Any) -> None:
        request = self._requests[0]
        try:
            request.send(connection)
        except Error as error:
            logger.warning("%s", error)
            request.error = error
        self._requests.popleft()
        request.done.set()

    def _fail(self, error: Exception) -> None:
        logger.warning(
            "cannot stop %d statements, which may go on on the server: %s",
            sum(not request.withdrawn for request in self._requests),
            error,
        )
        while self._requests:
            request = self._requests.popleft()
            request.error = error
            request.done.set()
