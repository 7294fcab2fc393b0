"""A deadline reaches whatever a database lets somebody wait for, on each of them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from django.db import connection, transaction
from django.db.backends.postgresql.psycopg_any import is_psycopg3
from gevent.event import Event

from concurrency import deadline
from concurrency.errors import DeadlineExceeded
from tests.concurrency.db.conftest import query, statistics
from tests.helpers import until

pytestmark = pytest.mark.targets("postgresql", "mariadb", "sqlite")

Work = Callable[[], object]


def expires(work: Work, seconds: float = 0.05) -> None:
    """Do something that ends with its deadline, and long before it would by itself."""
    with gevent.Timeout(15), pytest.raises(DeadlineExceeded), deadline(seconds):
        work()  # would take 30 s


def test_a_wait_for_a_connection(pool):
    """The place in the queue is given up."""
    pool(max_size=1, timeout=60.0)
    held, go_on = Event(), Event()

    def hold() -> None:
        query()
        held.set()
        go_on.wait()

    holder = gevent.spawn(hold)
    held.wait()
    expires(query)
    assert statistics().waiting == 0
    go_on.set()
    holder.join()
    assert query() == 1


@pytest.mark.targets("postgresql", "mariadb")
def test_a_server_that_accepts_and_says_nothing(pool, proxy):
    """Nobody waits for the attempt, which has its own end; later ones succeed."""
    pool(max_size=2, HOST=proxy.host, PORT=proxy.port)
    proxy.deafen()
    expires(query)
    assert statistics().waiting == 0
    assert statistics().connecting == 1
    proxy.hear()
    assert query() == 1


# Kinds of waiting: what is run by somebody whose time is short.

SLOW_ROW = {
    "postgresql": "SELECT 1 FROM pg_sleep(%s)",
    "mariadb": "SELECT SLEEP(%s)",
    "sqlite": "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 1e9 * %s) "
    "SELECT count(*) FROM n",
}


@contextlib.contextmanager
def executing(target: Any) -> Iterator[Work]:
    yield lambda: query(SLOW_ROW[target.name], 30)


@contextlib.contextmanager
def executing_many(target: Any) -> Iterator[Work]:
    def work() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.executemany(f"INSERT INTO scratch {SLOW_ROW[target.name]}", [[0], [30]])

    yield work


@contextlib.contextmanager
def waiting_for_who_writes(target: Any) -> Iterator[Work]:
    """A row that somebody else has locked, or on SQLite the turn to write."""
    query("INSERT INTO scratch VALUES (-1)")
    connection.close()
    locked, go_on = Event(), Event()

    def lock() -> None:
        with transaction.atomic():
            query("UPDATE scratch SET id = -2")
            locked.set()
            go_on.wait()

    holder = gevent.spawn(lock)
    locked.wait()

    def work() -> None:
        with transaction.atomic():
            query("UPDATE scratch SET id = -3")

    yield work
    go_on.set()
    holder.join()
    query("DELETE FROM scratch")


@contextlib.contextmanager
def calling_a_procedure(target: Any) -> Iterator[Work]:
    if target.name == "mariadb":
        query("CREATE PROCEDURE slow() SELECT SLEEP(30)")
    else:
        query("CREATE FUNCTION slow() RETURNS void LANGUAGE sql AS $$ SELECT FROM pg_sleep(30) $$")

    def work() -> None:
        with connection.cursor() as cursor:
            cursor.callproc("slow")

    yield work
    query("DROP PROCEDURE slow" if target.name == "mariadb" else "DROP FUNCTION slow")


@contextlib.contextmanager
def reading_on(target: Any) -> Iterator[Work]:
    """The second part of what a cursor on the server has."""

    def work() -> None:
        with transaction.atomic(), connection.chunked_cursor() as cursor:
            cursor.execute("SELECT n, pg_sleep(n * 30) FROM generate_series(0, 1) n")
            assert cursor.fetchmany(1) == [(0, "")]
            cursor.fetchmany(1)

    yield work


@contextlib.contextmanager
def copying(target: Any) -> Iterator[Work]:
    sql = "COPY (SELECT n, pg_sleep(n * 30) FROM generate_series(0, 1) n) TO STDOUT"

    def work() -> None:
        with connection.cursor() as cursor, cursor.copy(sql) as copy:
            list(copy)

    yield work


@contextlib.contextmanager
def committing(target: Any) -> Iterator[Work]:
    """With a check that is put off until then, and slow."""
    query(
        "CREATE FUNCTION slow_check() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_sleep(30); RETURN NULL; END $$"
    )
    query(
        "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON scratch DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION slow_check()"
    )

    def work() -> None:
        with transaction.atomic():
            query("INSERT INTO scratch VALUES (9)")

    yield work
    query("DROP TRIGGER slow ON scratch")
    query("DROP FUNCTION slow_check")


EVERYWHERE = [executing, executing_many, waiting_for_who_writes]
ON_SERVERS = [*EVERYWHERE, calling_a_procedure]
KINDS = {
    # psycopg2 cannot COPY where greenlets wait.
    "postgresql": [*ON_SERVERS, reading_on, *([copying] if is_psycopg3 else []), committing],
    "mariadb": ON_SERVERS,
    "sqlite": EVERYWHERE,
}


@pytest.mark.slow
def test_each_kind_of_statement(pool, target, observer):
    """It is stopped on the server, nothing of it is kept, and the connection is used again."""
    for kind in KINDS[target.name]:
        with kind(target) as work:
            query()
            connection.close()
            before = observer.sessions()
            expires(work, 0.2)
            connection.close()
            until(lambda: statistics().in_use + statistics().discarding < 2, "given back")
            assert observer.sessions() == before, kind
            until(lambda: observer.running() == 0, "stopped")
        assert query("SELECT count(*) FROM scratch") == 0, kind
    assert observer.in_transaction() == 0
