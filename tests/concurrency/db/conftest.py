"""A pool of the size that a test wants, and an observer who asks the server about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import gevent
import psycopg2
import pytest
from django.db import connection, connections
from gevent.event import Event
from psycopg2.extras import NamedTupleCursor

from concurrency.db import pool_statistics, registry
from concurrency.db.statistics import PoolStatistics
from concurrency.testing.proxy import TCPProxy

NAME = "pool-under-test"


def query(sql: str = "SELECT 1", *params: object) -> Any:
    """Run a statement on this greenlet's connection and return its first value."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params or None)
        return cursor.fetchone()[0] if cursor.description else None


def statistics() -> PoolStatistics:
    """Return the numbers of the pool under test."""
    return pool_statistics()["default"]


def until(condition: Callable[[], bool], what: str = "") -> None:
    """Let other greenlets run until a condition holds; fail after five seconds."""
    with gevent.Timeout(5, TimeoutError(f"still not so: {what or condition}")):
        while not condition():
            gevent.sleep(0.002)


@pytest.fixture
def pool() -> Iterator[Callable[..., None]]:
    """Make the default database use a new pool with the given options."""
    settings = connections.settings["default"]
    before = dict(settings)

    def renew(**options: Any) -> None:
        connections.close_all()
        changes = {key: options.pop(key) for key in list(options) if key.isupper()}
        registry.forget("default")
        timeout = options.pop("timeout", 10.0)
        settings.update(changes)
        settings["OPTIONS"] = {
            **before["OPTIONS"],
            "application_name": NAME,
            "pool": {"timeout": timeout, **options},
        }

    renew(max_size=4)
    yield renew
    connections.close_all()
    if "default" in pool_statistics():
        until(lambda: statistics().in_use + statistics().discarding == 0, "all given back")
    registry.forget("default")
    settings.clear()
    settings.update(before)


class Observer:
    """Asks the server about the sessions of the pool under test."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg2.connect(url, application_name="observer")
        self._connection.autocommit = True
        self.most = 0

    def ask(self, sql: str, *params: object) -> Any:
        with self._connection.cursor(cursor_factory=NamedTupleCursor) as cursor:
            cursor.execute(sql, params)
            return cursor.fetchall() if cursor.description else None

    def sessions(self, condition: str = "true") -> int:
        """Return how many sessions the pool has on the server."""
        sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND "
        return self.ask(sql + condition, NAME)[0].count

    def running(self, text: str) -> int:
        """Return how many statements that contain a text are executed."""
        return self.sessions(f"state = 'active' AND query LIKE '%%{text}%%'")

    def terminate(self) -> None:
        """End all sessions of the pool, as a restart of the server would."""
        self.ask(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s",
            NAME,
        )

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Ask again and again how many sessions there are; ``most`` is the answer."""
        self.most = 0
        enough = Event()

        def watch() -> None:
            while not enough.is_set():
                self.most = max(self.most, self.sessions())
                gevent.sleep(0)

        watcher = gevent.spawn(watch)
        try:
            yield
        finally:
            enough.set()
            watcher.join()

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def observer(postgres_url: str) -> Iterator[Observer]:
    """Somebody who looks from outside."""
    made = Observer(postgres_url)
    yield made
    made.close()


@pytest.fixture
def proxy(postgres_url: str, pool: Callable[..., None]) -> Iterator[TCPProxy]:
    """A network between the pool and its server; call ``pool(HOST=..., PORT=...)`` to use it."""
    url = urlsplit(postgres_url)
    with TCPProxy(url.hostname, url.port) as made:
        yield made
