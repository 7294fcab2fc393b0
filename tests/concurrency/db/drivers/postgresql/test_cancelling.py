"""Cancel requests to PostgreSQL: on the hub, and in threads where libpq is older than 17."""

from __future__ import annotations

import functools
from urllib.parse import urlsplit

import gevent
import psycopg2
import pytest
from psycopg import capabilities
from psycopg.pq import TransactionStatus

from concurrency.compat.psycopg2 import libpq
from concurrency.db.drivers.postgresql import cancelling, psycopg3
from concurrency.testing.proxy import TCPProxy
from tests.helpers import until

LIMIT = 10.0


def on_hub(connection):
    """Return a request of libpq 17."""
    return cancelling._Request(libpq(), connection.pgconn_ptr)


def in_threads(connection):
    """Return a request of an older libpq."""
    request = cancelling._BlockingRequest(libpq(), connection.pgconn_ptr)
    server = connection.info.host, connection.info.port
    return functools.partial(cancelling.in_thread, server, request)


def sleep(connection):
    """Have the server work, and return what the statement was stopped with."""
    with connection.cursor() as cursor:
        try:
            cursor.execute("SELECT pg_sleep(30)")
        except psycopg2.Error as error:
            return error
    return None


@pytest.fixture
def connect(postgres_url):
    """Open connections, directly or through a proxy."""
    opened = []

    def make(proxy=None):
        there = {"host": proxy.host, "port": proxy.port} if proxy else {}
        opened.append(psycopg2.connect(postgres_url, **there))
        opened[-1].autocommit = True
        return opened[-1]

    yield make
    for connection in opened:
        connection.close()


@pytest.fixture
def proxy(postgres_url):
    """A network that can become deaf."""
    parts = urlsplit(postgres_url)
    with TCPProxy(parts.hostname, parts.port) as made:
        yield made


@pytest.mark.parametrize("way", [on_hub, in_threads])
def test_a_deaf_server_keeps_nobody_from_cancelling_elsewhere(connect, proxy, way):
    """However many requests to it are stuck, one to another server is heard at once."""
    deaf = [connect(proxy) for _ in range(8)]
    connection = connect()
    proxy.deafen()
    stuck = [gevent.spawn(cancelling.patiently, way(each)) for each in deaf]
    gevent.idle()
    running = gevent.spawn(sleep, connection)
    with gevent.Timeout(LIMIT):
        while not running.ready():  # one that comes before the statement is no use
            cancelling.patiently(way(connection))
            gevent.sleep(0.01)
    assert isinstance(running.get(), psycopg2.extensions.QueryCanceledError)
    assert not any(greenlet.ready() for greenlet in stuck)
    proxy.hear()
    gevent.joinall(stuck, timeout=LIMIT, raise_error=True)


@pytest.mark.parametrize("way", [on_hub, in_threads])
def test_a_request_goes_on_when_its_caller_has_no_more_time(connect, proxy, way):
    """What a frozen server did for somebody who left is stopped when it is back."""
    connection = connect(proxy)
    running = gevent.spawn(sleep, connection)
    until(lambda: connection.info.transaction_status == 1)
    gevent.sleep(0.05)
    proxy.deafen()
    with gevent.Timeout(0.05, False):
        cancelling.patiently(way(connection))
        pytest.fail("nobody has heard it")
    assert not running.ready()
    proxy.hear()
    assert isinstance(running.get(timeout=LIMIT), psycopg2.extensions.QueryCanceledError)


@pytest.mark.parametrize("way", [on_hub, in_threads])
def test_a_server_that_is_gone_is_an_error(connect, postgres_url, way):
    """It is raised where somebody waits for the request."""
    parts = urlsplit(postgres_url)
    with TCPProxy(parts.hostname, parts.port) as gone:
        request = way(connect(gone))
    with pytest.raises(OSError, match=r"refused|111"):
        cancelling.patiently(request)


def test_the_hub_turns_while_a_server_is_deaf(connect, proxy):
    """A request waits like everything else."""
    request = on_hub(connect(proxy))
    proxy.deafen()
    turns = []
    with gevent.Timeout(0.05, False):
        waiting = gevent.spawn(cancelling.patiently, request)
        while not waiting.ready():
            turns.append(1)
            gevent.sleep(0.001)
    assert len(turns) > 5
    waiting.kill()
    proxy.hear()


def test_psycopg_3_with_an_old_libpq(postgres_url, monkeypatch):
    """Its statements are stopped from a thread, where psycopg's own method would block the hub."""
    monkeypatch.setattr(capabilities, "has_cancel_safe", lambda: False)
    with psycopg3.Connection.connect(postgres_url, autocommit=True) as connection:
        running = gevent.spawn(connection.execute, "SELECT pg_sleep(30)")
        until(lambda: connection.info.transaction_status == TransactionStatus.ACTIVE)
        gevent.sleep(0.05)
        running.kill(timeout=LIMIT)
        assert running.dead
        assert psycopg3.Psycopg3().is_clean(connection)
        assert connection.execute("SELECT 1").fetchone() == (1,)
