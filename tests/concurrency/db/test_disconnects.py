"""Requests whose client has gone, through Django's handler, real sockets and a real database."""

from __future__ import annotations

import os
import socket
import struct
from contextlib import ExitStack

import gevent
import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished
from django.db import transaction
from django.http import HttpResponse, StreamingHttpResponse
from django.test import RequestFactory, override_settings
from django.urls import path
from gevent.event import Event
from gevent.hub import get_hub

from concurrency import gather
from concurrency.middleware import cancel_on_disconnect
from tests.concurrency.db.conftest import query, statistics
from tests.helpers import until

Ends = tuple[socket.socket, socket.socket]

sql = {"slow": ""}
ended: list[str] = []
may_answer = Event()


def slow(request):
    try:
        with transaction.atomic():
            query(sql["slow"])
    finally:
        ended.append("view")
    return HttpResponse("slept")


def fans_out(request):
    def child():
        try:
            query(sql["slow"])
        finally:
            ended.append("child")

    gather(child, child)


def waits(request):
    may_answer.wait()
    return HttpResponse("waited")


def brief(request):
    return HttpResponse("brief")


@cancel_on_disconnect(True)
def always(request):
    return waits(request)


@cancel_on_disconnect(False)
def never(request):
    return waits(request)


def stream(request):
    def chunks():
        try:
            with transaction.atomic():
                query()
                yield "first"
                may_answer.wait()
                yield "second"
        finally:
            ended.append("stream")

    return StreamingHttpResponse(chunks())


urlpatterns = [
    path("slow/", slow),
    path("fans-out/", fans_out),
    path("waits/", waits),
    path("brief/", brief),
    path("always/", always),
    path("never/", never),
    path("stream/", stream),
]


class Request:
    """A request that runs in a greenlet, and the client at the other end of its socket."""

    def __init__(self, ends: Ends, url: str, method: str, *, shown: bool) -> None:
        self.client, self.server = ends
        self.chunks: list[str] = []
        self.environ = RequestFactory().generic(method, url).environ
        if shown:
            self.environ["gunicorn.socket"] = self.server
        self.greenlet = gevent.spawn(self._run)

    def _run(self) -> int:
        response = WSGIHandler()(self.environ, lambda *_: None)
        try:
            for chunk in response:
                self.chunks.append(chunk.decode())
        finally:
            response.close()
        return response.status_code

    def reset(self) -> None:
        """End the connection as somebody does who will not read what comes."""
        linger = struct.pack("ii", 1, 0)
        self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.client.close()

    def answer(self) -> tuple[int, str]:
        """Return status and body."""
        with gevent.Timeout(10):
            return self.greenlet.get(), "".join(self.chunks)


def tcp() -> Ends:
    """Return the two ends of a connection over the network."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        return client, listener.accept()[0]


@pytest.fixture
def send():
    """Begin requests, with the option on unless it is said otherwise."""
    ended.clear()
    may_answer.clear()
    with ExitStack() as stack:

        def begin(url, ends=None, method="GET", option=True, shown=True) -> Request:
            stack.enter_context(
                override_settings(
                    ROOT_URLCONF=__name__,
                    MIDDLEWARE=["concurrency.middleware.ConcurrencyMiddleware"],
                    CONCURRENCY={"CANCEL_ON_DISCONNECT": option},
                )
            )
            request = Request(ends or tcp(), url, method, shown=shown)
            stack.callback(lambda: [end.close() for end in (request.client, request.server)])
            stack.callback(request.greenlet.kill)
            gevent.sleep(0)  # it runs until it waits
            return request

        yield begin


@pytest.mark.targets("postgresql", "mariadb", "sqlite")
@pytest.mark.parametrize("url", ["/slow/", "/fans-out/"])
def test_work_ends_when_its_client_has_gone(send, pool, observer, target, url):
    """The statement is stopped, the lease is back, children are gone, the signal is sent."""
    sql["slow"] = target.sleep(30)
    finished = []
    request_finished.connect(receiver := lambda **_: finished.append(1), weak=False)
    try:
        request = send(url)
        until(lambda: observer.running("30") == (1 if url == "/slow/" else 2))
        request.reset()
        assert request.answer() == (499, "")
    finally:
        request_finished.disconnect(receiver)
    assert finished == [1]
    assert ended == (["view"] if url == "/slow/" else ["child", "child"])
    assert statistics().in_use == 0
    until(lambda: observer.running("30") == 0)
    assert observer.in_transaction() == 0
    assert query() == 1


def test_a_half_closed_client_is_served(send):
    """It sends nothing more, and waits for its answer."""
    request = send("/waits/")
    request.client.shutdown(socket.SHUT_WR)
    gevent.sleep(0.01)
    may_answer.set()
    assert request.answer() == (200, "waited")


def test_both_ends_of_a_unix_socket_are_known(send):
    """There a closed one differs from a half-closed one at once."""
    half, closed = (send("/waits/", socket.socketpair()) for _ in range(2))
    half.client.shutdown(socket.SHUT_WR)
    closed.client.close()
    assert closed.answer() == (499, "")
    may_answer.set()
    assert half.answer() == (200, "waited")


@pytest.mark.slow
def test_a_closed_socket_is_asked_until_its_kernel_has_forgotten_it(send):
    """What a plain close sends looks like a half-close, until a question is answered by a reset."""
    request = send("/waits/")
    # How long a kernel remembers: a minute on Linux, if nobody says otherwise.
    request.client.setsockopt(socket.IPPROTO_TCP, socket.TCP_LINGER2, 1)
    request.client.close()
    assert request.answer() == (499, "")


def test_who_has_gone_before_the_view_is_noticed_too(send):
    """A request that waited in a queue may come too late."""
    ends = tcp()
    ends[0].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    ends[0].close()
    assert send("/waits/", ends).answer() == (499, "")


@pytest.mark.parametrize(
    ("url", "method", "option", "status"),
    [
        ("/waits/", "GET", False, 200),
        ("/waits/", "HEAD", True, 499),
        ("/waits/", "POST", True, 200),
        ("/always/", "POST", False, 499),
        ("/never/", "GET", True, 200),
    ],
)
def test_whose_work_ends_is_decided_by_setting_and_view(send, url, method, option, status):
    """Off by default, for reading alone when it is on, and a view knows better."""
    request = send(url, method=method, option=option)
    request.reset()
    gevent.sleep(0.01)
    may_answer.set()
    assert request.answer()[0] == status


def test_it_is_off_by_default(send):
    """Who wants it says so."""
    with override_settings(CONCURRENCY={}):
        from concurrency.conf import conf

        assert conf.CANCEL_ON_DISCONNECT is False


def test_a_server_that_shows_no_socket_changes_nothing(send):
    """Only gunicorn gives it."""
    request = send("/waits/", shown=False)
    request.reset()
    gevent.sleep(0.01)
    may_answer.set()
    assert request.answer()[0] == 200


def test_a_stream_ends_while_its_next_chunk_is_made(send, pool, target):
    """Its generator is closed, its transaction is over, its lease is back."""
    request = send("/stream/")
    until(lambda: request.chunks == ["first"])
    assert statistics().in_use == 1
    request.reset()
    assert request.answer() == (200, "first")
    assert ended == ["stream"]
    assert statistics().in_use == 0


def test_one_of_many_clients_goes(send):
    """The others are not disturbed."""
    requests = [send("/waits/") for _ in range(50)]
    requests[7].reset()
    assert requests[7].answer()[0] == 499
    may_answer.set()
    assert [request.answer()[0] for request in requests].count(200) == 49


def test_two_requests_may_come_over_one_connection(send):
    """As those of HTTP/2: both end with it, and the end of one leaves the other watched."""
    ends = tcp()
    first, second, third = (send(url, ends) for url in ("/waits/", "/waits/", "/brief/"))
    assert third.answer() == (200, "brief")
    first.reset()
    assert first.answer()[0] == second.answer()[0] == 499


def test_nobody_looks_while_nothing_happens(send):
    """A half-closed client that also sends does not turn the loop."""
    request = send("/waits/")
    request.client.sendall(b"more")
    request.client.shutdown(socket.SHUT_WR)
    turns = 0

    def turn() -> None:
        nonlocal turns
        turns += 1

    watcher = get_hub().loop.prepare()
    watcher.start(turn)
    gevent.sleep(0.1)
    watcher.close()
    assert turns < 10
    may_answer.set()
    assert request.answer()[0] == 200


def test_a_child_of_fork_leaves_the_parents_watch_alone(send):
    """It shares the parent's epoll, and closes its own end of it."""
    request = send("/waits/")
    child = os.fork()
    if child == 0:
        request.greenlet.kill()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    request.reset()
    assert request.answer()[0] == 499
