"""Stopping the statements of other connections to MySQL.

A MySQL server has no cancel request, and goes on with a statement whose socket was
closed. It stops one when another session says ``KILL``. One such session for each
pool is opened when it is needed, and closed when nothing is left to be stopped.
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
    """A session of a server, as other sessions can name it.

    Attributes:
        number: the server's ``CONNECTION_ID()``; later sessions have higher ones.
        server: the host and port by which the server knows itself.
    """

    number: int
    server: tuple[Any, ...]


class Request:
    """One ``KILL``, on its way to the server."""

    def __init__(self, what: str, target: Session) -> None:
        self.what = what
        self.target = target
        self.done = Event()
        self.error: Exception | None = None
        self.withdrawn = False

    def wait(self, seconds: float) -> None:
        """Return when the server has confirmed; else nothing is sent any more, if possible.

        Raises:
            TimeoutError: the server has not answered in time.
            Exception: what went wrong.
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
        """Have the server do it.

        Raises:
            OperationalError: the control connection has reached another server.
        """
        here: Session = control.session
        if here.server != self.target.server:
            self._refuse(here)
        if here.number < self.target.number:
            return  # the server was restarted, and numbers its sessions from the beginning
        try:
            control.query(f"KILL {self.what} {self.target.number:d}")
        except Error as error:
            if error.args[0] != ER.NO_SUCH_THREAD:  # it has ended
                raise

    def _refuse(self, here: Session) -> NoReturn:
        # The number would be that of somebody else's session there.
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
        """Ask for the end of the statement that a session executes."""
        return self._request("QUERY", target)

    def end(self, target: Session) -> Request:
        """Ask for the end of a session, whatever it does."""
        return self._request("CONNECTION", target)

    def _request(self, what: str, target: Session) -> Request:
        request = Request(what, target)
        self._requests.append(request)
        home.run(self._wake)
        return request

    def _wake(self) -> None:
        # Only run in the home hub's thread, so that there is never a second worker.
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
        except Exception as error:  # noqa: BLE001 - raised where somebody waits for it
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
