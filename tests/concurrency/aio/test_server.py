"""Asynchronous views under a real gunicorn, beside others."""

from __future__ import annotations

import json
from collections.abc import Iterator

import gevent
import psycopg
import pytest

from bench.database import ConnectionCounter, named, scratch
from tests.concurrency.server import gunicorns
from tests.concurrency.server.gunicorns import STOCK, Client, Gunicorn
from tests.servers import until

VIEWS = 200
POOL = 20
NAME = "aio-views"
URLS = """
from tests.concurrency.aio.views import urlpatterns
print("views are imported", flush=True)
"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]


@pytest.fixture(scope="module")
def database(postgres_url: str) -> Iterator[str]:
    """A database with a table of numbers."""
    with scratch(postgres_url, "aio_server") as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE TABLE aio_number (id serial PRIMARY KEY, value integer)")
            connection.execute(
                "INSERT INTO aio_number (value) SELECT * FROM generate_series(0, %s)", [VIEWS]
            )
        yield named(f"{url}?pool_max_size={POOL}&pool_timeout=60", NAME)


@pytest.fixture(scope="module")
def server(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gunicorn]:
    """One worker of gunicorn's own class, which takes whatever comes."""
    options = "{'REQUEST_DEADLINE': 60.0, 'SHED_AFTER': None}"
    variables = {"DATABASE_URL": database, "OPTIONS_OF_TEST": options}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gunicorns, "URLS", URLS)
        started = Gunicorn(tmp_path_factory.mktemp("gunicorn"), worker=STOCK, **variables)
    with started:
        started.wait_for("views are imported")
        yield started


def get(server: Gunicorn, path: str, *headers: str) -> tuple[int, bytes]:
    """Ask on a connection of its own, and return status and body."""
    client = Client(server.port)
    client.socket.settimeout(80)
    try:
        status, _, body = client.get(path, "Connection: close", *headers)
    finally:
        client.close()
    return status, body


def test_two_hundred_of_each_at_the_same_time(server: Gunicorn, database: str):
    """Views of both kinds answer right, on no more connections than the pool has."""

    def ask(kind: str, value: int) -> object:
        status, body = get(server, f"/{kind}/{value}/")
        assert status == 200, body
        return json.loads(body)

    with ConnectionCounter(database.partition("?")[0], NAME) as counter:
        asked = [
            (kind, value, gevent.spawn(ask, kind, value))
            for value in range(VIEWS)
            for kind in ("mixed", "direct")
        ]
        greenlets = [greenlet for *_, greenlet in asked]
        while not all(greenlet.ready() for greenlet in greenlets):
            counter.count()
            gevent.sleep(0.05)
    for kind, value, greenlet in asked:
        assert greenlet.get() == (value if kind == "direct" else [value, value, 1, value])
    assert 0 < counter.most <= POOL
    assert get(server, "/state/") == (200, b"[0, 0, false]")


def test_a_deadline_ends_an_asynchronous_view(server: Gunicorn):
    """A request over its time is answered 504, its coroutine cleaned up, its lease back."""
    assert get(server, "/direct/1/")[0] == 200
    status, _ = get(server, "/sleeping/", "X-Request-Timeout-Ms: 200")
    assert status == 504
    server.wait_for("cleaned up")
    until(lambda: get(server, "/state/") == (200, b"[0, 0, false]"), "the lease is back")


def test_an_asynchronous_stream(server: Gunicorn):
    """An asynchronous stream is sent, and holds nothing when it is over."""
    client = Client(server.port)
    client.send("/streamed/", "Connection: close")
    received = b""
    while data := client.socket.recv(65536):
        received += data
    client.close()
    assert [line for line in received.split(b"\r\n") if line.endswith(b" ")] == [
        b"0 ",
        b"1 ",
        b"2 ",
    ]
    assert get(server, "/state/") == (200, b"[0, 0, false]")
