"""COPY waits on the hub, and can be killed."""

from __future__ import annotations

import io

import gevent
import pytest
from django.db import connection
from django.db.backends.postgresql.psycopg_any import is_psycopg3

from concurrency import map_each
from tests.concurrency.db.conftest import query, statistics
from tests.concurrency.db.drivers.postgresql.work import (
    copy_in,
    copy_out,
    get_without_end,
    needs_psycopg3,
    send_without_end,
)
from tests.helpers import until


@pytest.fixture
def scratch(observer):
    """An empty table of numbers."""
    observer.ask("TRUNCATE scratch")
    yield
    observer.ask("TRUNCATE scratch")


@needs_psycopg3
def test_copy_works_in_many_greenlets(pool, scratch, target):
    """Each sends and gets its own rows, and the leases come back."""

    def there_and_back(number: int) -> bool:
        rows = range(number * 1000, number * 1000 + 1000)
        copy_in(rows)
        sql = f"SELECT id FROM scratch WHERE id / 1000 = {number} ORDER BY id"  # noqa: S608
        return copy_out(sql) == list(rows)

    assert map_each(there_and_back, range(8), limit=8) == [True] * 8
    assert statistics().in_use == 0


@needs_psycopg3
@pytest.mark.parametrize("copy", [send_without_end, get_without_end])
def test_a_copy_can_be_killed(pool, observer, scratch, copy, target):
    """Nothing of it stays, nothing of it runs, and the next query is served."""
    pool(max_size=1)
    killed = gevent.spawn(copy)
    until(lambda: observer.running("COPY") == 1)
    killed.kill(timeout=5)
    assert query("SELECT count(*) FROM scratch") == 0
    assert observer.running("COPY") == 0


@pytest.mark.skipif(is_psycopg3, reason="psycopg 3 can")
def test_psycopg2_says_that_it_cannot_copy(pool, scratch, target):
    """Not beside a wait callback, says the driver; its connection stays usable."""
    refused = pytest.raises(connection.Database.ProgrammingError, match="asynchronous callback")
    with refused, connection.cursor() as cursor:
        cursor.copy_expert("COPY scratch (id) FROM STDIN", io.StringIO("1\n"))
    assert query("SELECT 42") == 42
