"""Cursors of SQLite read ahead, and show it to nobody."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from django.db import OperationalError, ProgrammingError, connections

from concurrency import map_each
from tests.concurrency.db.drivers.sqlite.lite import (
    ALIAS,
    NUMBERS,
    close,
    native_sleep,
    query,
    statistics,
)
from tests.helpers import until


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 250])
def test_cursors_read_as_those_of_sqlite3(lite, count):
    """One by one, in batches, all at once and by iteration, across the edges of batches."""
    expected = [(x,) for x in range(1, count + 1)]
    sql = f"SELECT value FROM json_each('{[x for (x,) in expected]}')"  # noqa: S608 - numbers

    def read(how: Callable[[Any], Any]) -> Any:
        with connections[ALIAS].cursor() as cursor:
            cursor.execute(sql)
            return how(cursor)

    assert read(lambda c: c.fetchall()) == expected
    assert read(lambda c: list(c)) == expected
    assert read(lambda c: [row for batch in iter(lambda: c.fetchmany(7), []) for row in batch]) == (
        expected
    )
    assert read(lambda c: list(iter(c.fetchone, None))) == expected
    assert read(lambda c: [c.fetchone(), *c.fetchmany(3), *c.fetchall()])[: count + 1] == (
        expected or [None]
    )


def test_a_row_that_fails_is_an_error_when_it_is_asked_for(function):
    """Reading ahead does not move an error to the execution."""

    @function
    def only_small(x: int) -> int:
        if x > 3:
            raise ValueError(x)
        return x

    with connections[ALIAS].cursor() as cursor:
        cursor.execute(NUMBERS.replace("SELECT x FROM", "SELECT only_small(x) FROM"), [10])
        assert cursor.fetchmany(2) == [(1,), (2,)]
        # sqlite3 looks for the fourth row before it returns the third.
        with pytest.raises(OperationalError):
            cursor.fetchone()


def test_rows_that_take_long_are_not_waited_for(function):
    """The first row is there before the second is computed."""
    computed = []

    @function
    def slow(x: int) -> int:
        computed.append(x)
        native_sleep(0.02)
        return x

    with connections[ALIAS].cursor() as cursor:
        cursor.execute(NUMBERS.replace("SELECT x FROM", "SELECT slow(x) FROM"), [100])
        assert cursor.fetchone() == (1,)
        assert len(computed) < 5


def test_a_cursor_is_read_while_others_work_on_the_connection(lite):
    """Chunks of one statement and other statements alternate."""
    query("INSERT INTO t SELECT x FROM (" + NUMBERS % 1000 + ")")
    seen = []
    with connections[ALIAS].chunked_cursor() as cursor:
        cursor.execute("SELECT x FROM t ORDER BY x")
        for (x,) in cursor:
            seen.append(x)
            if x % 100 == 0:
                assert query("SELECT count(*) FROM t") == 1000
    assert seen == list(range(1, 1001))


def test_a_half_read_cursor_keeps_the_lease_and_is_closed_with_it(lite):
    """It is not lent while its greenlet waits, and the next holder does not see it."""
    cursor = connections[ALIAS].cursor()
    cursor.execute(NUMBERS, [1000])
    mine = connections[ALIAS].connection
    map_each(lambda _: query(), [1], limit=1)
    assert connections[ALIAS].connection is mine
    assert cursor.fetchone() == (1,)
    close()
    until(lambda: statistics().discarding == 0, "cleaned")
    with pytest.raises((ProgrammingError, sqlite3.ProgrammingError)):
        cursor.fetchall()


def test_a_generator_that_reads_ends_without_waiting(lite):
    """Wherever it is closed, as by the garbage collector in the hub."""

    def rows() -> Iterator[Any]:
        with connections[ALIAS].cursor() as cursor:
            cursor.execute(NUMBERS, [10_000])
            yield from cursor

    generator = rows()
    assert next(generator) == (1,)
    ended = []
    gevent.get_hub().loop.run_callback(lambda: ended.append(generator.close()))
    until(lambda: ended == [None], "closed in the hub")
    assert query() == 1
    assert connections[ALIAS].connection.is_clean()


def test_many_rows_at_once(lite):
    """``executemany`` takes what yields rows, and runs it in the caller."""

    def rows() -> Iterator[tuple[int]]:
        for x in range(250):
            gevent.sleep(0)
            yield (x,)

    with connections[ALIAS].cursor() as cursor:
        cursor.executemany("INSERT INTO t VALUES (%s)", rows())
        assert cursor.rowcount == 250
    assert query("SELECT sum(x) FROM t") == sum(range(250))


def test_a_script(lite):
    """Several statements in one string, as ``sqlite3`` takes them."""
    query()
    connections[ALIAS].connection.executescript(
        "BEGIN; INSERT INTO t VALUES (1); INSERT INTO t VALUES (2); COMMIT"
    )
    assert query("SELECT count(*) FROM t") == 2
