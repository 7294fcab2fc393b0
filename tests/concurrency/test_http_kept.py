"""A connection that its server closes at the moment when the shared session uses it again."""

from __future__ import annotations

import itertools
import re
import socket
import struct
from collections.abc import Iterator
from typing import Any

import gevent
import pytest
import requests
from gevent.event import Event
from gevent.server import StreamServer

from concurrency import deadline, offload
from concurrency.errors import DeadlineExceeded
from concurrency.http import TIMEOUT_HEADER, Session
from tests.servers import until

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Server:
    """Keeps connections, and closes one when a request has come that it does not answer.

    Attributes:
        answers: how many requests it answers on the first connection, the second, ...;
            on later ones all.
        resets: whether it closes a connection without the usual end.
        rest: what it sends before that.
        patience: seconds before that.
        goes_on: cleared, it does nothing more on any connection but the first.
        received: for each request the number of its connection, and its method.
        times_left: for each request what it was told.
    """

    def __init__(self) -> None:
        self.answers = [1]
        self.resets = False
        self.rest = b""
        self.patience = 0.0
        self.received: list[tuple[int, str]] = []
        self.times_left: list[int] = []
        self.goes_on = Event()
        self.goes_on.set()
        self._numbers = itertools.count()
        self._server = StreamServer(("127.0.0.1", 0), self._serve)
        self._server.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/"

    def _serve(self, client: Any, address: object) -> None:
        number = next(self._numbers)
        answers = self.answers[number] if number < len(self.answers) else None
        with client.makefile("rb") as file:
            for count in itertools.count():
                if not self._read(number, file):
                    return
                if number:
                    self.goes_on.wait()
                if count == answers:
                    break
                client.sendall(ANSWER)
        gevent.sleep(self.patience)
        client.sendall(self.rest)
        if self.resets:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _read(self, number: int, file: Any) -> bool:
        first = file.readline().decode()
        if not first:
            return False
        lines = iter(lambda: file.readline().decode().strip(), "")
        headers = dict(line.split(": ", 1) for line in lines)
        file.read(int(headers.get("Content-Length", 0)))
        self.received.append((number, first.split()[0]))
        self.times_left.append(int(headers.get(TIMEOUT_HEADER, 0)))
        return True

    def stop(self) -> None:
        self.goes_on.set()
        self._server.stop(timeout=1)


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.stop()


@pytest.fixture
def session(server: Server) -> Iterator[Session]:
    """A session that has kept a connection."""
    with Session() as made:
        made.trust_env = False
        made.get(server.url)
        yield made


@pytest.mark.parametrize("resets", [False, True])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"])
def test_a_request_that_may_be_repeated_is(
    server: Server, session: Session, method: str, resets: bool
) -> None:
    """It is answered on a new connection, although nothing is to be retried."""
    server.resets = resets
    assert session.request(method, server.url, data=b"x").status_code == 200
    assert server.received == [(0, "GET"), (0, method), (1, method)]


def test_the_new_connection_is_kept_in_place_of_the_other(server: Server, session: Session) -> None:
    """The next request comes on it."""
    session.get(server.url)
    session.get(server.url)
    assert [number for number, _ in server.received] == [0, 0, 1, 1]


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_another_request_is_never_sent_twice(server: Server, session: Session, method: str) -> None:
    """The server may have done what it was asked for."""
    with pytest.raises(requests.ConnectionError, match="Connection aborted"):
        session.request(method, server.url)
    assert server.received == [(0, "GET"), (0, method)]


def test_a_body_that_was_read_is_not_sent_again(server: Server, session: Session) -> None:
    """A file is at its end by then."""
    with pytest.raises(requests.ConnectionError):
        session.put(server.url, data=iter([b""]))
    assert server.received == [(0, "GET"), (0, "PUT")]


def test_an_answer_that_has_begun_is_not_asked_for_again(server: Server, session: Session) -> None:
    """The connection was not just closed: the server broke off."""
    server.rest = b"HTTP/1.1 2"
    with pytest.raises(requests.ConnectionError):
        session.get(server.url)
    assert server.received == [(0, "GET"), (0, "GET")]


def test_it_is_repeated_once(server: Server, session: Session) -> None:
    """A new connection that ends in the same way is an error."""
    server.answers = [1, 0]
    with pytest.raises(requests.ConnectionError):
        session.get(server.url)
    assert server.received == [(0, "GET"), (0, "GET"), (1, "GET")]


def test_a_new_connection_that_is_closed_is_an_error(server: Server) -> None:
    """Only of one that was kept is it known that this may happen to anybody."""
    server.answers = [0]
    with Session() as session, pytest.raises(requests.ConnectionError):
        session.get(server.url)
    assert server.received == [(0, "GET")]


def test_the_server_is_told_that_less_time_is_left(server: Server, session: Session) -> None:
    """The time that the first attempt took has gone."""
    server.patience = 0.01
    with deadline(5.0):
        session.get(server.url)
    _, first, second = server.times_left
    assert 0 < second <= first - 10


def test_the_deadline_ends_the_second_attempt(server: Server, session: Session) -> None:
    """It does not begin anew."""
    server.goes_on.clear()
    with pytest.raises(DeadlineExceeded), deadline(0.05):
        session.get(server.url)
    assert server.received == [(0, "GET"), (0, "GET"), (1, "GET")]


@pytest.mark.slow
def test_in_a_thread_the_second_attempt_waits_for_what_is_left(server: Server) -> None:
    """Nothing can be thrown into a thread: the limit of its socket is what ends it."""
    server.patience = 0.1
    server.goes_on.clear()
    waited: list[float] = []

    def ask() -> None:
        session.get(server.url)
        try:
            session.get(server.url)
        except requests.ReadTimeout as error:
            waited.append(float(re.findall(r"read timeout=([\d.]+)", str(error))[0]))

    with Session() as session:
        with pytest.raises(DeadlineExceeded), deadline(0.2):
            offload(ask)
        until(lambda: bool(waited), "the thread has ended")
    assert waited[0] <= 0.2
