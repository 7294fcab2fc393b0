"""The shared HTTP session, against a real server on loopback."""

from __future__ import annotations

import gevent
import pytest
import requests
from gevent.event import Event
from gevent.pywsgi import WSGIServer

from concurrency import deadline, map_each, offload
from concurrency.errors import DeadlineExceeded
from concurrency.http import Session
from tests.helpers import until


class Server:
    """Answers after an event, counts connections, and fails when told to."""

    def __init__(self):
        self.go_on = Event()
        self.go_on.set()
        self.requests = []
        self.failures = 0
        self.peers = set()
        self._server = WSGIServer(("127.0.0.1", 0), self.answer, log=None, error_log=None)
        self._server.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, environ, start_response):
        self.requests.append((environ["REQUEST_METHOD"], environ.get("HTTP_COOKIE")))
        self.peers.add(environ["REMOTE_PORT"])
        self.go_on.wait()
        if self.failures:
            self.failures -= 1
            start_response("503 Service Unavailable", [("Content-Type", "text/plain")])
            return [b"later"]
        start_response("200 OK", [("Set-Cookie", "who=me; Path=/")])
        return [environ["QUERY_STRING"].encode()]

    def stop(self):
        self.go_on.set()
        self._server.stop(timeout=1)


@pytest.fixture
def server():
    made = Server()
    yield made
    made.stop()


@pytest.fixture
def session():
    with Session() as made:
        made.trust_env = False
        yield made


def test_many_greenlets_share_it(server, session, recwarn):
    """A hundred calls at once each get their own answer, none of the connections is thrown away."""
    answers = map_each(lambda n: session.get(f"{server.url}/?{n}").text, range(100), limit=None)
    assert answers == [str(n) for n in range(100)]
    again = map_each(lambda n: session.get(f"{server.url}/?{n}").text, range(100), limit=None)
    assert again == answers
    assert len(server.peers) <= 100


def test_connections_are_bounded(server):
    """A call beyond max_connections waits for its turn."""
    with Session(max_connections=3) as session:
        map_each(lambda n: session.get(server.url), range(20), limit=None)
    assert len(server.peers) <= 3


def test_the_wait_for_a_connection_is_finite(server):
    """A full pool is a ConnectTimeout that says what to raise."""
    server.go_on.clear()
    with Session(max_connections=1, pool_timeout=0.01) as session:
        first = gevent.spawn(session.get, server.url)
        until(lambda: server.requests, "the server has the first call")
        with pytest.raises(requests.ConnectTimeout, match=r"all 1 to '127.0.0.1'.*max_connections"):
            session.get(server.url)
        server.go_on.set()
        assert first.get().status_code == 200


def test_the_default_timeouts_are_finite(session):
    """Connect 3.05 s, read 30 s, unless a call says otherwise."""
    assert session.timeout == (3.05, 30.0)


def test_a_server_that_does_not_answer_is_a_read_timeout(server):
    """The session's own limit applies to calls that give none."""
    server.go_on.clear()
    with Session(read_timeout=0.01) as session, pytest.raises(requests.ReadTimeout):
        session.get(server.url)
    with Session() as session, pytest.raises(requests.ReadTimeout):
        session.get(server.url, timeout=0.01)


@pytest.mark.parametrize("timeout", [None, 60, (60, 60), (None, None)])
def test_a_deadline_ends_a_call(server, session, timeout):
    """Whatever timeouts are given, the nearest deadline is what is raised."""
    server.go_on.clear()
    with pytest.raises(DeadlineExceeded), deadline(0.02):
        session.get(server.url, timeout=timeout)


@pytest.mark.slow
def test_a_call_in_a_thread_ends_with_the_deadline_too(server, session):
    """Nothing can be thrown into a thread, so the socket's own limit is shortened."""
    server.go_on.clear()

    def call():
        try:
            session.get(server.url)
        except requests.Timeout:
            ended.append(True)

    ended = []
    with pytest.raises(DeadlineExceeded), deadline(0.05):
        offload(call)
    until(lambda: ended, "the call of the thread ends")


def test_a_thread_has_connections_of_its_own(server, session):
    """What the main thread keeps is of use to it alone: a socket waits on the hub that made it."""

    def in_a_thread():
        for _ in range(2):
            session.get(server.url).raise_for_status()
        session.close()  # here, as the next call may get another thread

    session.get(server.url)
    offload(in_a_thread)
    session.get(server.url)
    assert len(server.peers) == 2


def test_cookies_of_one_answer_are_not_sent_with_the_next_request(server, session):
    """Callers who share a session do not share an identity."""
    session.get(server.url)
    session.get(server.url)
    assert [cookie for _, cookie in server.requests] == [None, None]


def test_cookies_can_be_kept(server):
    """For a session that belongs to one identity."""
    with Session(keep_cookies=True) as session:
        session.get(server.url)
        session.get(server.url)
    assert [cookie for _, cookie in server.requests] == [None, "who=me"]


def test_nothing_is_retried_by_default(server, session):
    """A 503 is an answer."""
    server.failures = 1
    assert session.get(server.url).status_code == 503
    assert len(server.requests) == 1


def test_retries_are_for_methods_that_may_be_repeated(server):
    """A GET is asked again, a POST never."""
    server.failures = 1
    with Session(retries=2) as session:
        assert session.get(server.url).status_code == 200
        server.failures = 1
        assert session.post(server.url).status_code == 503
    assert [method for method, _ in server.requests] == ["GET", "GET", "POST"]


def test_retries_that_do_not_help_give_the_last_answer(server):
    """No error of urllib3 in place of the answer."""
    server.failures = 9
    with Session(retries=1) as session:
        assert session.get(server.url).status_code == 503


def test_a_limit_below_one_is_refused():
    """No connection could ever be made."""
    with pytest.raises(ValueError, match="at least 1"):
        Session(max_connections=0)


def test_a_killed_call_does_not_spoil_the_session(server, session):
    """Its connection is not used again with a half-read answer."""
    server.go_on.clear()
    victim = gevent.spawn(session.get, f"{server.url}/?victim")
    until(lambda: server.requests, "the server has the call")
    victim.kill()
    server.go_on.set()
    answers = map_each(lambda n: session.get(f"{server.url}/?{n}").text, range(20), limit=5)
    assert answers == [str(n) for n in range(20)]
