"""A database of SQLite under an alias of its own, and ways to interrupt work on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gevent
import pytest
from django.db import connections, transaction
from gevent.monkey import get_original

from concurrency import deadline
from concurrency.db import pool_statistics
from concurrency.db.drivers.sqlite.files import turns_of
from concurrency.db.drivers.sqlite.turns import Turns
from concurrency.db.pool.statistics import PoolStatistics
from concurrency.errors import DeadlineExceeded

ALIAS = "lite"
ENGINE = "concurrency.db.backends.sqlite3"
# Ends within microseconds of an interruption, and after an hour without.
ENDLESS = (
    "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 100000000000) "
    "SELECT count(*) FROM n"
)
NUMBERS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT %s) SELECT x FROM n"
native_sleep = get_original("time", "sleep")
Make = Callable[..., None]


def query(sql: str = "SELECT 1", *params: object) -> Any:
    """Run a statement on this greenlet's connection and return its first value."""
    with connections[ALIAS].cursor() as cursor:
        cursor.execute(sql, params or None)
        return cursor.fetchone()[0] if cursor.description else None


def close() -> None:
    connections[ALIAS].close()


def statistics() -> PoolStatistics:
    return pool_statistics()[ALIAS]


def turns() -> Turns:
    """Return the queue of writers."""
    return turns_of(connections[ALIAS].settings_dict["NAME"])


def atomic(**options: Any) -> Any:
    return transaction.atomic(using=ALIAS, **options)


def by_deadline(fn: Callable[[], object]) -> None:
    with pytest.raises(DeadlineExceeded), deadline(0.05):
        fn()


def by_timeout(fn: Callable[[], object]) -> None:
    with gevent.Timeout(0.05, False):
        fn()


def by_kill(fn: Callable[[], object]) -> None:
    greenlet = gevent.spawn(fn)
    gevent.sleep(0.05)
    greenlet.kill()


WAYS = [by_deadline, by_timeout, by_kill]
