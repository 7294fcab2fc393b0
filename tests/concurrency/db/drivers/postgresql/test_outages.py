"""PostgreSQL goes away while a greenlet waits for it."""

from __future__ import annotations

import gevent
import pytest
from django.db import OperationalError, connection
from django.db.backends.postgresql.psycopg_any import is_psycopg3

from tests.concurrency.db.conftest import query
from tests.concurrency.db.drivers.postgresql.work import (
    cursor_on_the_server,
    executemany,
    get_without_end,
    is_asleep,
    pipeline_that_sleeps,
    pipeline_that_waits,
)
from tests.helpers import until

WORK = [cursor_on_the_server]


if is_psycopg3:
    WORK += [pipeline_that_waits, pipeline_that_sleeps, executemany, get_without_end]


@pytest.mark.parametrize("work", WORK)
def test_the_server_may_go_away_whatever_is_waited_for(pool, observer, work, target):
    """An error: libpq closes its socket by itself, and to watch a closed one ends the process."""
    pool(max_size=1)

    def work_and_catch() -> str | None:
        connection.ensure_connection()
        try:
            with connection.wrap_database_errors:
                work()
        except OperationalError as error:
            return str(error)

    lost = gevent.spawn(work_and_catch)
    until(lambda: is_asleep(observer))
    observer.terminate()
    if work is pipeline_that_sleeps:  # and is not told
        lost.kill(timeout=5)
    else:
        assert "server closed the connection" in lost.get(timeout=5) or "terminating" in lost.value
    assert query("SELECT 42") == 42
