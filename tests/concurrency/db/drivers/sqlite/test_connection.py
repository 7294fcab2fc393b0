"""Statements of SQLite run in the native thread of their connection; the hub turns."""

from __future__ import annotations

import gevent
from django.db import connections

from concurrency import map_each, offload
from concurrency.db.drivers.sqlite.native import NativeThread
from concurrency.db.pool import registry
from tests.concurrency.db.drivers.sqlite.lite import (
    ALIAS,
    NUMBERS,
    close,
    native_sleep,
    query,
    statistics,
)
from tests.helpers import until


def test_the_hub_turns_during_a_slow_statement(function):
    """Another greenlet gets hundreds of turns while one statement runs."""
    turns = 0

    def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            # Not 0: to do nothing but turn keeps CPython's lock from all other threads.
            gevent.sleep(0.001)

    @function
    def hundred_turns() -> int:
        before = turns
        for _ in range(5000):
            if turns >= before + 100:
                break
            native_sleep(0.001)
        return turns - before

    counter = gevent.spawn(count)
    try:
        assert query("SELECT hundred_turns()") >= 100
    finally:
        counter.kill()


def test_ten_slow_statements_run_at_the_same_moment(function):
    """Each of ten statements waits for the other nine, and all of them end."""
    arrived = 0

    @function
    def meet() -> int:
        nonlocal arrived
        arrived += 1
        for _ in range(5000):
            if arrived == 10:
                break
            native_sleep(0.001)
        return arrived

    assert map_each(lambda _: query("SELECT meet()"), range(10), limit=10) == [10] * 10


def test_a_short_query_is_one_hop(lite):
    """Execution and first rows are one trip to the thread, a closed cursor none."""
    hops = []
    query()
    raw = connections[ALIAS].connection
    run = raw._thread._submit
    raw._thread._submit = lambda *call: hops.append(call) or run(*call)
    with connections[ALIAS].cursor() as cursor:
        cursor.execute(NUMBERS, [50])
        assert len(cursor.fetchmany(100)) == 50
        assert cursor.fetchmany(100) == []
    assert len(hops) == 1
    raw._thread._submit = run


def test_threads_end_with_their_connections(lite):
    """Each connection has a native thread, which is gone when the connection is closed."""

    holders = []

    def thread_of_mine(number: int) -> NativeThread:
        query()
        holders.append(number)
        until(lambda: len(holders) == 8, "each holding one")
        return connections[ALIAS].connection._thread

    threads = set(map_each(thread_of_mine, range(8), limit=8))
    assert len(threads) == 8
    assert all(thread.is_alive() for thread in threads)
    close()
    registry.forget(ALIAS)
    until(lambda: not any(thread.is_alive() for thread in threads), "ended")


def test_a_statement_in_offload_has_a_connection_of_its_own(lite):
    """A native thread of ``offload`` queries as greenlets do, and gives back."""
    query()
    mine = connections[ALIAS].connection
    assert offload(lambda: connections[ALIAS].connection is mine or query("SELECT 7")) == 7
    until(lambda: statistics().in_use <= 1, "given back")
