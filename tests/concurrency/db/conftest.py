"""A pool of the size that a test wants, and an observer who asks the server about it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import gevent
import pytest
from asgiref.local import Local
from django.db import connection, connections

from concurrency.db import pool_statistics
from concurrency.db.pool import registry
from concurrency.db.pool.statistics import PoolStatistics
from concurrency.errors import PoolTimeout
from concurrency.testing.proxy import TCPProxy
from tests.concurrency.db.targets import MariaDBTarget, Observer, PostgreSQL, SQLite, Target
from tests.helpers import until


def query(sql: str = "SELECT 1", *params: object) -> Any:
    """Run a statement on this greenlet's connection and return its first value."""
    with connection.cursor() as cursor:
        cursor.execute(sql, params or None)
        return cursor.fetchone()[0] if cursor.description else None


def statistics() -> PoolStatistics:
    """Return the numbers of the pool under test."""
    return pool_statistics()["default"]


def give_back() -> None:
    """Return this greenlet's connection, and wait until the pool could lend it again."""
    connection.close()
    until(lambda: statistics().in_use + statistics().discarding == 0, "given back")


def warm(connections: int = 1) -> None:
    """Have a new pool open its first connections, which may take longer than its timeout.

    Args:
        connections: how many it opens with the first use, ``min_size``.
    """
    with suppress(PoolTimeout):
        gevent.spawn(query).get()
    until(lambda: statistics().idle >= connections, "opened")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test on the targets of its mark ``targets``, or on PostgreSQL."""
    if "target" not in metafunc.fixturenames:
        return
    mark = metafunc.definition.get_closest_marker("targets")
    names = mark.args if mark is not None else ("postgresql",)
    if os.environ.get("TEST_DRIVER") == "psycopg2":  # which makes no difference to the others
        names = [name for name in names if name == "postgresql"]
    marks = {"mariadb": [pytest.mark.mariadb]}
    targets = [pytest.param(name, marks=marks.get(name, [])) for name in names]
    metafunc.parametrize("target", targets, indirect=True)


@pytest.fixture
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Target:
    """The database on which a test runs."""
    if request.param == "sqlite":
        return SQLite(tmp_path / "database.sqlite3")
    if request.param == "mariadb":
        return MariaDBTarget(request.getfixturevalue("mariadb"))
    return PostgreSQL(request.getfixturevalue("postgres_url"))


def _forget_wrappers() -> None:
    # New ones are made from the settings, which may name another engine. Those of the
    # threads of offload cannot be reached through Django.
    connections.close_all()
    connections._connections = Local(connections.thread_critical)


@pytest.fixture
def pool(target: Target) -> Iterator[Callable[..., None]]:
    """Make the default database use a new pool with the given options."""
    settings = connections.settings["default"]
    before = dict(settings)
    _forget_wrappers()
    registry.forget("default")
    settings.update(target.settings)

    def renew(**options: Any) -> None:
        connections.close_all()
        changes = {key: options.pop(key) for key in list(options) if key.isupper()}
        registry.forget("default")
        given = {**target.settings["OPTIONS"], **changes.pop("OPTIONS", {})}
        settings.update(changes)
        settings["OPTIONS"] = {**given, "pool": {"timeout": 10.0, **options}}

    renew(max_size=4)
    yield renew
    _forget_wrappers()
    if "default" in pool_statistics():
        until(lambda: statistics().in_use + statistics().discarding == 0, "all given back")
    registry.forget("default")
    settings.clear()
    settings.update(before)


@pytest.fixture
def one(pool: Callable[..., None]) -> None:
    """A pool of one connection, so that the next holder gets the same session."""
    pool(max_size=1)


@pytest.fixture
def observer(target: Target) -> Iterator[Observer]:
    """Somebody who looks from outside."""
    made = target.observer(target.where)
    yield made
    made.close()


@pytest.fixture
def proxy(target: Target, pool: Callable[..., None]) -> Iterator[TCPProxy]:
    """A network between the pool and its server; call ``pool(HOST=..., PORT=...)`` to use it."""
    with TCPProxy(target.host, target.port) as made:
        yield made
