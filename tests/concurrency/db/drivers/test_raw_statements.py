"""A statement that changes the session is noticed, by whatever way the driver executes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.backends.postgresql.psycopg_any import is_psycopg3
from psycopg2 import extensions, extras
from pymysql.constants import CLIENT
from pymysql.cursors import Cursor, SSCursor

from concurrency import gather
from tests.concurrency.db.conftest import give_back, query, statistics

PSYCOPG3 = pytest.mark.skipif(not is_psycopg3, reason="of psycopg 3")
PSYCOPG2 = pytest.mark.skipif(is_psycopg3, reason="of psycopg2")

SET = "SET work_mem = '8MB'"
CONFIG = "SELECT set_config('work_mem', %s, false)"


def by_cursor(raw: Any) -> None:
    raw.cursor().execute(SET)


def below_django_s_cursor(raw: Any) -> None:
    with connection.cursor() as cursor:
        cursor.cursor.execute(SET)


def by_executemany(raw: Any) -> None:
    raw.cursor().executemany(CONFIG, [("7MB",), ("8MB",)])


def in_bytes(raw: Any) -> None:
    raw.cursor().execute(SET.encode())


def by_one_of_several(raw: Any) -> None:
    raw.cursor().execute(f"SELECT 1; {SET}")


def by_a_statement_that_was_composed(raw: Any) -> None:
    if is_psycopg3:
        from psycopg import sql
    else:
        from psycopg2 import sql
    raw.cursor().execute(sql.SQL("SET {} = '8MB'").format(sql.Identifier("work_mem")))


def by_connection(raw: Any) -> None:
    raw.execute(SET)


def by_stream(raw: Any) -> None:
    list(raw.cursor().stream(CONFIG, ["8MB"]))


def by_copy(raw: Any) -> None:
    with raw.cursor().copy(f"COPY ({CONFIG}) TO STDOUT", ["8MB"]) as copy:
        list(copy)


def in_a_pipeline(raw: Any) -> None:
    with raw.pipeline():
        raw.execute("SELECT 1")
        raw.execute(SET)


def by_a_cursor_on_the_server(raw: Any) -> None:
    with raw.transaction(), raw.cursor("mine") as cursor:
        cursor.execute(CONFIG, ["8MB"])
        cursor.fetchall()


def by_a_cursor_of_psycopg_s_own_classes(raw: Any) -> None:
    from psycopg import ClientCursor

    ClientCursor(raw).execute(SET)


def by_the_cursor_of_another_factory(raw: Any) -> None:
    from psycopg import RawCursor

    factory, raw.cursor_factory = raw.cursor_factory, RawCursor
    raw.execute(SET)
    raw.cursor_factory = factory


def by_a_cursor_of_another_kind(raw: Any) -> None:
    raw.cursor(cursor_factory=extras.DictCursor).execute(SET)


def by_a_cursor_of_psycopg2_s_own_class(raw: Any) -> None:
    extensions.cursor(raw).execute(SET)


def by_execute_values(raw: Any) -> None:
    extras.execute_values(
        raw.cursor(),
        "SELECT set_config(v, w, false) FROM (VALUES %s) AS t (v, w)",
        [("work_mem", "8MB")],
    )


def by_execute_batch(raw: Any) -> None:
    extras.execute_batch(raw.cursor(), CONFIG, [("8MB",)])


def by_callproc(raw: Any) -> None:
    raw.cursor().callproc("set_config", ("work_mem", "8MB", False))


WAYS = [by_cursor, below_django_s_cursor, by_executemany, in_bytes, by_one_of_several]
WAYS += [by_a_statement_that_was_composed]
WAYS_3 = [by_connection, by_stream, by_copy, in_a_pipeline, by_a_cursor_on_the_server]
WAYS_3 += [by_a_cursor_of_psycopg_s_own_classes, by_the_cursor_of_another_factory]
WAYS_2 = [by_a_cursor_of_another_kind, by_a_cursor_of_psycopg2_s_own_class, by_execute_values]
WAYS_2 += [by_execute_batch, by_callproc]


@pytest.mark.parametrize(
    "way",
    WAYS
    + [pytest.param(way, marks=PSYCOPG3) for way in WAYS_3]
    + [pytest.param(way, marks=PSYCOPG2) for way in WAYS_2],
)
def test_no_way_to_set_something_is_one_around_the_pool(pool, way: Callable[[Any], None]):
    """The holder keeps its session while it waits, and the next one finds it as new."""
    pool(max_size=2)
    session = query("SELECT pg_backend_pid()")
    way(connection.connection)
    assert query("SHOW work_mem") == "8MB"
    gather(query)
    assert query("SELECT pg_backend_pid()") == session
    assert query("SHOW work_mem") == "8MB"
    give_back()
    assert gather(*[lambda: query("SHOW work_mem")] * 2) == ["4MB", "4MB"]


def test_statements_that_change_nothing_cost_no_reset(one):
    """By whatever way the driver executes them."""
    with transaction.atomic():
        for number in connection.connection.cursor("mine"), connection.connection.cursor():
            number.execute("SELECT 1")
            assert number.fetchall() == [(1,)]
            number.close()
    with connection.chunked_cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchall() == [(1,)]
    connection.connection.cursor().executemany("SELECT %s", [(1,), (2,)])
    if is_psycopg3:
        with connection.connection.cursor().copy("COPY (SELECT 1) TO STDOUT") as copy:
            list(copy)
        for row in connection.connection.cursor().stream("SELECT 1"):
            assert row == (1,)
    connection.close()
    assert (statistics().discarding, statistics().idle) == (0, 1)


def test_a_cursor_of_the_driver_that_outlives_its_transaction_is_closed(one):
    """The session is the same one, and does not know it any more."""
    session = query("SELECT pg_backend_pid()")
    cursor = connection.connection.cursor("mine", withhold=True)
    cursor.execute("SELECT generate_series(1, 1000)")
    cursor.fetchone()
    del cursor
    give_back()
    assert query("SELECT count(*) FROM pg_cursors") == 0
    assert query("SELECT pg_backend_pid()") == session


def test_a_notification_of_one_holder_does_not_reach_the_next(one):
    """Not even one that the driver has received and nobody has read."""
    query("LISTEN news")
    query("NOTIFY news, 'a secret'")
    query()
    give_back()
    connection.ensure_connection()
    raw = connection.connection
    assert list(raw.notifies(timeout=0) if is_psycopg3 else raw.notifies) == []


def test_a_notice_of_one_holder_does_not_reach_the_next(one):
    """psycopg2 keeps them in a list."""
    with transaction.atomic():
        query("CREATE TABLE IF NOT EXISTS told (id int)")
        query("CREATE TABLE IF NOT EXISTS told (id int)")
    query("DROP TABLE told")
    give_back()
    connection.ensure_connection()
    assert not getattr(connection.connection, "notices", [])


# MariaDB


@pytest.mark.targets("mariadb")
@pytest.mark.parametrize(
    "way",
    [
        lambda raw: raw.query("SET @mine = 8"),
        lambda raw: raw.query(b"SET @mine = 8"),
        lambda raw: raw.query("SELECT 1; SET @mine = 8"),
        lambda raw: raw.cursor().execute("SET @mine = %s", [8]),
        lambda raw: raw.cursor(SSCursor).execute("SET @mine = 8"),
        lambda raw: Cursor(raw).execute("SET @mine = 8"),
        lambda raw: raw.cursor().executemany("SET @mine = %s", [[7], [8]]),
        lambda raw: raw.cursor().execute("SELECT 8 INTO @mine"),
    ],
)
def test_no_way_of_pymysql_is_one_around_the_pool(pool, way: Callable[[Any], None]):
    """The holder keeps its session while it waits, and the next one finds it as new."""
    pool(max_size=2, OPTIONS={"client_flag": CLIENT.MULTI_STATEMENTS})
    session = query("SELECT CONNECTION_ID()")
    way(connection.connection)
    gather(query)
    assert (query("SELECT CONNECTION_ID()"), query("SELECT @mine")) == (session, 8)
    give_back()
    assert gather(*[lambda: query("SELECT @mine")] * 2) == [None, None]


@pytest.mark.targets("mariadb")
def test_a_database_that_was_selected_is_not_that_of_the_next(one, target):
    """``select_db`` sends no statement that could be read."""
    connection.ensure_connection()
    connection.connection.select_db(target.other_database)
    give_back()
    assert query("SELECT DATABASE()") == target.settings["NAME"]


@pytest.mark.targets("mariadb")
def test_words_in_parameters_are_no_statements(one):
    """A text with SQL in it does not have the session reset."""
    text = "; SET @mine = 8"
    assert query("SELECT %s", text) == text
    with connection.cursor() as cursor:
        cursor.executemany("SELECT %s", [[text], [text]])
    connection.close()
    assert (statistics().discarding, statistics().idle) == (0, 1)


# SQLite


@pytest.mark.targets("sqlite")
@pytest.mark.parametrize(
    "way",
    [
        lambda raw: raw.execute("PRAGMA cache_size = 77"),
        lambda raw: raw.executescript("SELECT 1; PRAGMA cache_size = 77"),
        lambda raw: raw.cursor().execute("PRAGMA cache_size(77)"),
        lambda raw: raw.execute("ATTACH ':memory:' AS mine"),
        lambda raw: raw.execute("CREATE TEMP TABLE mine (id int)"),
        lambda raw: raw.execute("CREATE TABLE temp.mine (id int)"),
        lambda raw: raw.execute("CREATE TEMPORARY VIEW mine AS SELECT 1"),
    ],
)
def test_no_way_of_sqlite3_is_one_around_the_pool(one, way: Callable[[Any], None]):
    """The holder keeps its connection while it waits, and the next one gets another."""
    connection.ensure_connection()
    raw = connection.connection
    way(raw)
    gather(lambda: None)
    assert connection.connection is raw
    give_back()
    connection.ensure_connection()
    assert connection.connection is not raw
    connection.close()
