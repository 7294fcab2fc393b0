"""Work on PostgreSQL that takes long: COPY, pipelines and cursors on the server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import gevent
import pytest
from django.db import connection, transaction
from django.db.backends.postgresql.psycopg_any import is_psycopg3

needs_psycopg3 = pytest.mark.skipif(not is_psycopg3, reason="psycopg 3 alone has it here")


def copy_in(rows: Iterable[int]) -> None:
    """Send rows to the server."""
    with connection.cursor() as cursor, cursor.copy("COPY scratch (id) FROM STDIN") as copy:
        for row in rows:
            copy.write_row([row])


def copy_out(sql: str) -> list[int]:
    """Have a query's rows copied to here."""
    with connection.cursor() as cursor, cursor.copy(f"COPY ({sql}) TO STDOUT") as copy:
        return [int(row) for (row,) in copy.rows()]


def send_without_end() -> None:
    def rows() -> Iterator[int]:
        yield from range(1000)
        gevent.sleep(30)

    copy_in(rows())


def get_without_end() -> None:
    copy_out("SELECT id FROM generate_series(1, 3) id, pg_sleep(30)")


def is_asleep(observer) -> bool:
    return observer.sessions("wait_event = 'PgSleep'") == 1


def pipeline_that_waits() -> None:
    """Wait for the last of three long statements, each in a transaction of its own."""
    raw = connection.connection
    with raw.pipeline() as pipeline:
        for _ in range(3):
            last = raw.execute("SELECT pg_sleep(30)")
            pipeline._enqueue_sync()
        last.fetchone()


def pipeline_that_sleeps() -> None:
    """Do something else while the statements run."""
    raw = connection.connection
    with raw.pipeline() as pipeline:
        for _ in range(3):
            raw.execute("SELECT pg_sleep(30)")
            pipeline._enqueue_sync()
        raw.wait(pipeline._communicate_gen())
        gevent.sleep(30)


def executemany() -> None:
    """Let psycopg make the pipeline."""
    with connection.cursor() as cursor:
        cursor.executemany("SELECT pg_sleep(%s)", [[30], [30], [30]])


def cursor_on_the_server() -> None:
    with transaction.atomic(), connection.chunked_cursor() as cursor:
        cursor.execute("SELECT pg_sleep(30)")
        cursor.fetchone()
