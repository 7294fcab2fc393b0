"""Crowds of greenlets, and what they do to a pool: nothing."""

from __future__ import annotations

import contextlib
import random
import socket
from collections.abc import Iterator
from typing import Any

import gevent
import gevent.pywsgi
import greenlet
import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.db import connection, transaction
from django.http import HttpResponse
from django.test import override_settings
from django.urls import path
from gevent.pool import Pool as Greenlets

from concurrency.http import TIMEOUT_HEADER
from tests.concurrency.db.conftest import query, statistics
from tests.helpers import until

pytestmark = [pytest.mark.slow, pytest.mark.targets("postgresql", "mariadb", "sqlite")]


@contextlib.contextmanager
def fuses() -> Iterator[dict[Any, int]]:
    """Kill each greenlet where it waits when it has gone on as often as it is told here."""
    lengths: dict[Any, int] = {}
    hub: Any = gevent.get_hub()
    previous: Any = greenlet.gettrace()

    def trace(event: Any, switch: Any) -> None:
        if previous is not None:
            previous(event, switch)
        target = switch[1]
        if target in lengths:
            lengths[target] -= 1
            if lengths[target] == 0:
                hub.loop.run_callback(target.kill, gevent.GreenletExit, False)

    greenlet.settrace(trace)
    try:
        yield lengths
    finally:
        greenlet.settrace(previous)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("crowd_size", [2000, pytest.param(10_000, marks=pytest.mark.thorough)])
def test_thousands_of_raw_greenlets_on_a_pool_of_four(pool, target, observer, crowd_size):
    """A third raise, a third are killed somewhere, some never begin: never a fifth session."""
    pool(max_size=4, timeout=600.0)  # no machine is too slow
    size = crowd_size if target.is_server else crowd_size // 5
    ended = {"returned": 0, "raised": 0, "killed": 0}

    def work(number: int) -> None:
        try:
            with transaction.atomic():
                assert query("SELECT %s", number) == number
                if number % 3 == 0:
                    raise RuntimeError("expected")
            ended["returned"] += 1
        except RuntimeError:
            ended["raised"] += 1
        except gevent.GreenletExit:
            ended["killed"] += 1
            raise

    with observer.watching(pause=0.002), fuses() as lengths:
        crowd = [gevent.Greenlet(work, number) for number in range(size)]
        for number, each in enumerate(crowd):
            if number % 3 == 1:
                lengths[each] = random.choice((1, 2, random.randint(3, 7)))
            if number % 10 == 2:
                each.kill(block=False)  # before it has begun
            elif number % 10 != 5:  # whom nobody starts
                each.start()
        gevent.joinall([each for number, each in enumerate(crowd) if number % 10 != 5])
    assert ended["raised"] == sum(n % 3 == 0 and n % 10 not in (2, 5) for n in range(size))
    assert ended["killed"] > size / 10
    assert 0 < observer.most <= 4
    until(lambda: statistics().in_use + statistics().discarding == 0, "all given back")
    assert query() == 1
    assert observer.in_transaction() == 0


@pytest.mark.targets("postgresql", "mariadb")
@pytest.mark.timeout(120)
def test_a_thousand_greenlets_at_a_server_that_is_slow_to_accept(pool, proxy, observer):
    """Connections that are being opened count, also in a rush; first come, first served."""
    proxy.connect_delay = 0.2
    pool(max_size=10, timeout=600.0, HOST=proxy.host, PORT=proxy.port)
    granted = []

    def work(number: int) -> None:
        connection.ensure_connection()
        granted.append((connection.leasing.lease.since, number))
        assert query("SELECT %s", number) == number

    with observer.watching():
        gevent.joinall([gevent.spawn(work, n) for n in range(1000)], raise_error=True)
    order = [number for _, number in sorted(granted)]
    assert sorted(order) == list(range(1000))
    # As many as there are connections wake in one turn of the hub, in any order.
    assert max(abs(place - number) for place, number in enumerate(order)) < 10
    assert proxy.accepted == 10
    assert observer.most <= 10


REQUESTS = 100
statements: list[str] = []  # what the slow view runs


def slow(request: Any) -> HttpResponse:
    # SQLite lets one write, and the others would wait for it.
    with contextlib.nullcontext() if connection.vendor == "sqlite" else transaction.atomic():
        return HttpResponse(str([query(statement) for statement in statements]))


def quick(request: Any) -> HttpResponse:
    return HttpResponse(str(query()))


urlpatterns = [path("slow/", slow), path("quick/", quick)]


@pytest.fixture
def server() -> Iterator[gevent.pywsgi.WSGIServer]:
    """Django on a port, with a greenlet for each connection in ``server.pool``."""
    changes = override_settings(
        ROOT_URLCONF=__name__,
        MIDDLEWARE=["concurrency.middleware.ConcurrencyMiddleware"],
    )
    with changes:
        made = gevent.pywsgi.WSGIServer(
            ("127.0.0.1", 0), WSGIHandler(), log=None, error_log=None, spawn=Greenlets()
        )
        made.start()
        yield made
        made.stop(timeout=1)


def is_whole() -> bool:
    """Return whether every slot of the pool is free."""
    return statistics().in_use + statistics().discarding + statistics().connecting == 0


def ask(server: Any, url: str, **headers: str) -> socket.socket:
    """Send a request and return the socket on which the answer will come."""
    client = socket.create_connection(("127.0.0.1", server.server_port))
    lines = [f"GET {url} HTTP/1.1", "Host: testserver", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    client.sendall("\r\n".join([*lines, "", ""]).encode())
    return client


def answer(client: socket.socket) -> str:
    """Return what is answered, up to the end."""
    with client:
        return b"".join(iter(lambda: client.recv(65536), b"")).decode()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("way", ["kill", "deadline"])
def test_a_hundred_requests_that_are_killed_in_a_statement(pool, target, observer, server, way):
    """Soon nothing of them runs, nothing is open, and the pool is full again."""
    crowd = REQUESTS if target.is_server else 10  # each would keep a core busy
    pool(max_size=crowd, min_size=crowd, timeout=100.0)
    query()
    connection.close()
    until(lambda: statistics().idle == crowd, "connected")
    write = ["INSERT INTO scratch VALUES (1)"] if target.is_server else []
    statements[:] = [*write, target.endless]
    headers = {TIMEOUT_HEADER: "1500"} if way == "deadline" else {}
    at_it = crowd if way == "kill" else 1  # or the deadline is there before the last
    with observer.holding():
        clients = [ask(server, "/slow/", **headers) for _ in range(crowd)]
        until(lambda: observer.running(target.endless) >= at_it, "at it")
        if way == "kill":
            gevent.killall(list(server.pool), block=False)
            server.pool.join()
        else:
            assert {answer(client).split()[1] for client in clients} == {"504"}
        # No statement ends by itself.
        until(lambda: observer.running() == 0 and is_whole(), "stopped")
    assert observer.in_transaction() == 0
    assert observer.sessions() <= crowd
    assert answer(ask(server, "/quick/")).splitlines()[0] == "HTTP/1.1 200 OK"
    assert query("SELECT count(*) FROM scratch") == 0
    for client in clients:
        client.close()
