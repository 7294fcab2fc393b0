"""Pipelines of psycopg belong to one greenlet each, and can be killed."""

from __future__ import annotations

import gevent
import pytest
from django.db import connection

from concurrency import map_each
from tests.concurrency.db.conftest import query, statistics
from tests.concurrency.db.drivers.postgresql.work import (
    executemany,
    is_asleep,
    needs_psycopg3,
    pipeline_that_sleeps,
    pipeline_that_waits,
)
from tests.helpers import until


@needs_psycopg3
def test_pipelines_of_many_greenlets_do_not_mix(pool, target):
    """Statements are sent without waiting for each other, answers come to who asked."""

    def ask(number: int) -> list[int]:
        connection.ensure_connection()
        with connection.connection.pipeline():
            cursors = [
                connection.connection.execute("SELECT %s::int", [number * 100 + i])
                for i in range(50)
            ]
            return [cursor.fetchone()[0] for cursor in cursors]

    found = map_each(ask, range(8), limit=8)
    assert found == [[number * 100 + i for i in range(50)] for number in range(8)]
    assert statistics().in_use == 0


@needs_psycopg3
@pytest.mark.parametrize("work", [pipeline_that_waits, pipeline_that_sleeps, executemany])
def test_a_pipeline_can_be_killed(pool, observer, work, target):
    """What was sent is stopped at once, and the next holder finds nothing of it."""
    pool(max_size=1)

    def work_and_leave() -> None:
        connection.ensure_connection()
        work()

    session = query(target.session)
    connection.close()
    killed = gevent.spawn(work_and_leave)
    until(lambda: is_asleep(observer))
    killed.kill(timeout=5)
    assert observer.running("sleep") == 0
    assert query("SELECT 42") == 42
    assert query(target.session) == session
