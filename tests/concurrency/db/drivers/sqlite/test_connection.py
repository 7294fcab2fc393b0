"""SQLite: the hub turns, writers queue, kills interrupt, and Django notices nothing."""

from __future__ import annotations

import io
import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import gevent
import pytest
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import (
    DatabaseError,
    IntegrityError,
    OperationalError,
    ProgrammingError,
    close_old_connections,
    connections,
    transaction,
)
from django.db.backends.signals import connection_created
from django.db.transaction import TransactionManagementError
from gevent.monkey import get_original

from concurrency import deadline, map_each, offload
from concurrency.db import pool_statistics
from concurrency.db.drivers.sqlite.files import turns_of
from concurrency.db.drivers.sqlite.native import NativeThread
from concurrency.db.drivers.sqlite.turns import Turns
from concurrency.db.pool import registry
from concurrency.db.pool.statistics import PoolStatistics
from concurrency.errors import DeadlineExceeded
from concurrency.testing import kill_at_every_switch
from tests.helpers import until

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


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[Make]:
    """A database in a file, with a table ``t(x)``; call it to have another one instead."""

    def make(name: str = str(tmp_path / "lite.sqlite3"), **options: Any) -> None:
        forget()
        pool = {"max_size": options.pop("max_size", 20), "timeout": options.pop("wait", 5.0)}
        given = {"ENGINE": ENGINE, "NAME": name, "OPTIONS": {**options, "pool": pool}}
        made = connections.configure_settings({"default": {"ENGINE": ENGINE}, ALIAS: given})
        connections.settings[ALIAS] = made[ALIAS]
        query("CREATE TABLE IF NOT EXISTS t (x integer)")

    def forget() -> None:
        if connections.settings.pop(ALIAS, None) is not None:
            close_and_forget()

    def close_and_forget() -> None:
        wrapper = getattr(connections._connections, ALIAS, None)
        if wrapper is not None:
            wrapper.close()
            delattr(connections._connections, ALIAS)
        if ALIAS in pool_statistics():
            until(lambda: statistics().in_use + statistics().discarding == 0, "given back")
        registry.forget(ALIAS)

    make()
    yield make
    forget()


@pytest.fixture
def function(lite: Make) -> Iterator[Callable[..., None]]:
    """Register functions of Python with the connections, which run in native threads."""
    functions: dict[str, Callable[..., Any]] = {}

    def register(connection: Any, **_signal: Any) -> None:
        if connection.alias == ALIAS:
            for name, call in functions.items():
                connection.connection.create_function(name, -1, call)

    def add(call: Callable[..., Any]) -> None:
        functions[call.__name__] = call
        close()
        registry.forget(ALIAS)

    connection_created.connect(register)
    yield add
    connection_created.disconnect(register)


# The hub


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


# Writers


def test_a_hundred_writers_never_find_it_locked(lite):
    """100 greenlets that each write in a transaction all succeed, in any interleaving."""

    def write(x: int) -> None:
        with atomic():
            query("INSERT INTO t VALUES (%s)", x)
            gevent.sleep(0)
            query("UPDATE t SET x = x WHERE x = %s", x)

    map_each(write, range(100), limit=100)
    assert query("SELECT count(DISTINCT x) FROM t") == 100


def test_writers_without_a_transaction_queue_as_well(lite):
    """Statements that commit themselves wait for a transaction that writes, and for each other."""
    map_each(lambda x: query("INSERT INTO t VALUES (%s)", x), range(100), limit=100)
    assert query("SELECT count(*) FROM t") == 100


def test_writers_are_served_in_order(lite):
    """Who came first writes first."""
    order: list[int] = []

    def write(x: int) -> None:
        with atomic():
            order.append(x)

    with atomic():
        writers = []
        for x in range(10):
            writers.append(gevent.spawn(write, x))
            until(lambda n=x: turns().waiting == n + 1, "waiting")
    gevent.joinall(writers, raise_error=True)
    assert order == list(range(10))


def test_who_waits_too_long_is_told_why(lite):
    """After the busy timeout the error is Django's, and says what was waited for."""
    lite(timeout=0.05)
    with atomic():
        query("INSERT INTO t VALUES (1)")
        writer = gevent.spawn(query, "INSERT INTO t VALUES (2)")
        writer.join()
    assert isinstance(writer.exception, OperationalError)
    assert "database is locked: no turn to write after 0.05 s" in str(writer.exception)
    assert query("SELECT group_concat(x) FROM t") == "1"


def test_a_deadline_ends_the_wait_for_a_turn(lite):
    """Whoever waits for others to write is interrupted like any other wait."""
    with atomic():

        def write() -> None:
            with pytest.raises(DeadlineExceeded), deadline(0.02):
                query("INSERT INTO t VALUES (2)")

        gevent.joinall([gevent.spawn(write)], raise_error=True)
    query("INSERT INTO t VALUES (3)")
    assert query("SELECT group_concat(x) FROM t") == "3"


def test_readers_go_on_while_somebody_writes(lite):
    """A reader neither waits for a transaction that writes nor sees it."""
    with atomic():
        query("INSERT INTO t VALUES (1)")
        reader = gevent.spawn(query, "SELECT count(*) FROM t")
        reader.join(timeout=5)
        assert reader.value == 0
    assert query("SELECT count(*) FROM t") == 1
    assert query("PRAGMA journal_mode") == "wal"


def test_a_killed_writer_lets_the_next_one_in(lite):
    """What it wrote is gone, and who waited for its turn gets it."""

    def write() -> None:
        with atomic():
            query("INSERT INTO t VALUES (1)")
            gevent.sleep(60)

    first = gevent.spawn(write)
    until(lambda: turns().is_taken, "writing")
    second = gevent.spawn(query, "INSERT INTO t VALUES (2)")
    until(lambda: turns().waiting == 1, "waiting")
    first.kill()
    second.join(timeout=5)
    assert query("SELECT group_concat(x) FROM t") == "2"


OTHER_PROCESS = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.readline()
connection.execute("COMMIT")
print("free", flush=True)
"""


@pytest.mark.slow
def test_the_lock_of_another_process_is_waited_for(lite, tmp_path):
    """Who waits for it can be killed, and gets it when the other process is done."""
    with subprocess.Popen(
        [sys.executable, "-c", OTHER_PROCESS, str(tmp_path / "lite.sqlite3")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout.readline() == "locked\n"
        assert query("SELECT count(*) FROM t") == 0
        with gevent.Timeout(0.1, False):
            query("INSERT INTO t VALUES (1)")
        assert connections[ALIAS].connection.is_clean()
        writer = gevent.spawn(query, "INSERT INTO t VALUES (2)")
        gevent.sleep(0.1)
        assert not writer.ready()
        other.stdin.write("\n")
        other.stdin.flush()
        writer.join(timeout=5)
        assert writer.successful()
    assert query("SELECT group_concat(x) FROM t") == "2"


def test_the_mode_of_transactions_is_an_option(lite):
    """By default they begin IMMEDIATE; what Django knows can be asked for."""
    assert "BEGIN IMMEDIATE" in statements(lambda: atomic().__enter__())
    connections[ALIAS].close()
    lite(transaction_mode="DEFERRED")
    assert "BEGIN DEFERRED" in statements(lambda: atomic().__enter__())
    connections[ALIAS].close()
    lite(transaction_mode=None)
    assert "BEGIN" in statements(lambda: atomic().__enter__())
    connections[ALIAS].close()


def statements(work: Callable[[], object]) -> list[str]:
    """Return the statements that something runs."""
    wrapper = connections[ALIAS]
    wrapper.force_debug_cursor = True
    wrapper.queries_log.clear()
    work()
    wrapper.force_debug_cursor = False
    return [each["sql"] for each in wrapper.queries_log]


# Killed in the middle


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


@pytest.mark.parametrize("way", WAYS)
def test_a_statement_is_interrupted_and_the_connection_kept(lite, way):
    """No thread works on for a greenlet that has gone, and its connection is used again."""
    close()
    way(lambda: query(ENDLESS))
    until(lambda: statistics().in_use + statistics().discarding <= 1, "given back")
    assert query() == 1
    assert statistics().open == 1


@pytest.mark.parametrize("way", [by_deadline, by_timeout])
def test_a_killed_query_leaves_the_transaction_around_its_savepoint(lite, way):
    """What was written before the savepoint is committed."""
    with atomic():
        query("INSERT INTO t VALUES (1)")

        def inner() -> None:
            with atomic():
                query("INSERT INTO t VALUES (2)")
                query(ENDLESS)

        way(inner)
        query("INSERT INTO t VALUES (3)")
    assert query("SELECT group_concat(x) FROM t") == "1,3"


def test_a_killed_write_ends_the_transaction_and_nobody_writes_on_without_one(lite):
    """SQLite rolls everything back; later statements are refused instead of being committed."""
    with pytest.raises(TransactionManagementError), atomic():
        query("INSERT INTO t VALUES (1)")
        by_timeout(lambda: query(f"INSERT INTO t {ENDLESS}"))
        query("INSERT INTO t VALUES (3)")
    assert query("SELECT count(*) FROM t") == 0


def test_a_transaction_that_was_rolled_back_is_not_said_to_be_committed(lite):
    """Nothing after the killed statement: the end of the block raises."""
    with pytest.raises(OperationalError, match="nothing of it is kept"), atomic():
        query("INSERT INTO t VALUES (1)")
        by_timeout(lambda: query(f"INSERT INTO t {ENDLESS}"))
    assert query("SELECT count(*) FROM t") == 0
    assert connections[ALIAS].connection.is_clean()


@pytest.mark.parametrize("way", WAYS)
def test_a_killed_transaction_is_rolled_back(lite, way):
    """Nothing of it is committed and nothing stays open."""

    def write() -> None:
        with atomic():
            query("INSERT INTO t VALUES (1)")
            query(ENDLESS)

    way(write)
    query("INSERT INTO t VALUES (2)")
    assert query("SELECT group_concat(x) FROM t") == "2"


def test_a_statement_that_had_not_begun_is_not_run_and_hurts_no_other(function):
    """Killing who waits behind another statement of the same connection stops neither."""
    may_end = False

    @function
    def wait() -> int:
        for _ in range(5000):
            if may_end:
                break
            native_sleep(0.001)
        return 1

    query()
    raw = connections[ALIAS].connection
    running = gevent.spawn(lambda: raw.execute("SELECT wait()").fetchone())
    until(lambda: raw._thread._current is not None, "running")
    queued = gevent.spawn(lambda: raw.execute("INSERT INTO t VALUES (1)"))
    gevent.sleep(0)
    behind = gevent.spawn(lambda: raw.execute("SELECT 2").fetchone())
    gevent.sleep(0)
    queued.kill()
    may_end = True
    gevent.joinall([running, behind], timeout=5, raise_error=True)
    assert (running.value, behind.value) == ((1,), (2,))
    assert query("SELECT count(*) FROM t") == 0


def test_an_interruption_does_not_outlive_its_statement(lite):
    """Not even with a half-read cursor, which SQLite would go on interrupting: it is closed."""
    wrapper = connections[ALIAS]
    cursor = wrapper.cursor()
    cursor.execute(NUMBERS, [100_000])
    cursor.fetchone()
    by_timeout(lambda: query(ENDLESS))
    assert query() == 1
    with pytest.raises(ProgrammingError):
        cursor.fetchall()


@pytest.mark.slow
def test_a_statement_that_cannot_be_stopped_is_left(function):
    """A kill takes its budget at most; the connection is closed when the function ends."""
    begun = may_end = False
    threads = []

    def slow() -> None:
        query()
        threads.append(connections[ALIAS].connection._thread)
        with atomic():
            query("SELECT stubborn()")

    @function
    def stubborn() -> int:
        nonlocal begun
        begun = True
        while not may_end:
            native_sleep(0.001)
        return 1

    victim = gevent.spawn(slow)
    until(lambda: begun, "begun")
    victim.kill(timeout=10)
    assert victim.dead
    until(lambda: statistics().discarding == 0, "discarded")
    assert query() == 1
    assert statistics().open == 1
    may_end = True
    until(lambda: not threads[0].is_alive(), "ended")
    query("INSERT INTO t VALUES (1)")


@pytest.mark.slow
def test_killed_a_thousand_times_the_data_are_consistent(lite):
    """Transfers that are killed at random moments lose nothing, and the pool is whole."""
    lite(max_size=4)
    query("INSERT INTO t VALUES (500), (500)")
    close()
    chance = random.Random(7)
    done = 0

    def transfer() -> None:
        nonlocal done
        amount = chance.randrange(50)
        with atomic():
            query("UPDATE t SET x = x - %s WHERE rowid = 1", amount)
            with atomic():
                query("SELECT sum(x) FROM t")
                query("UPDATE t SET x = x + %s WHERE rowid = 2", amount)
        done += 1

    start = perf_counter()
    transfer()
    close()
    # As long as one takes here, so that a kill meets any moment of it on any machine.
    span = perf_counter() - start
    for _ in range(250):
        victims = [gevent.spawn(transfer) for _ in range(4)]
        for victim in victims:
            gevent.sleep(chance.uniform(0, span))
            victim.kill(block=False)
        gevent.joinall(victims)
    assert 0 < done < 1001
    until(lambda: statistics().in_use + statistics().discarding == 0, "given back")
    assert query("SELECT sum(x) FROM t") == 1000
    assert query("PRAGMA integrity_check") == "ok"
    map_each(lambda _: transfer(), range(20), limit=20)
    assert query("SELECT sum(x) FROM t") == 1000
    assert statistics().timeouts == 0


@pytest.mark.slow
@pytest.mark.parametrize("how", ["kill", "timeout", "deadline"])
def test_a_transfer_is_killed_at_every_switch(lite, how):
    """At whichever wait it is interrupted, it has happened wholly or not at all."""
    query("INSERT INTO t VALUES (500), (500)")
    close()

    def transfer() -> None:
        with atomic():
            query("UPDATE t SET x = x - 10 WHERE rowid = 1")
            with atomic():
                query("UPDATE t SET x = x + 10 WHERE rowid = 2")
                query("SELECT sum(x) FROM t")

    def check() -> None:
        assert query("SELECT sum(x) FROM t") == 1000
        close()

    places = kill_at_every_switch(transfer, check, how=how)
    assert places >= 7  # BEGIN, SAVEPOINT, three statements, RELEASE, COMMIT
    assert query("SELECT x FROM t WHERE rowid = 2") > 500


# Cursors


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


# The pool


def test_a_request_ends_with_the_lease(lite):
    """What Django calls at the ends of requests gives the connection back."""
    query()
    assert statistics().in_use == 1
    close_old_connections()
    assert (statistics().in_use, statistics().idle) == (0, 1)


def test_leases_come_back_from_raw_greenlets(lite):
    """Returned, failed or killed: nothing is left in use, and no more are opened than may be."""
    lite(max_size=3, wait=30.0)
    close()

    def work(x: int) -> None:
        query("INSERT INTO t VALUES (%s)", x)
        if x % 3 == 0:
            raise ValueError(x)

    hub = gevent.get_hub()
    silent, hub.handle_error = hub.handle_error, lambda *error: None
    greenlets = [gevent.spawn(work, x) for x in range(300)]
    for greenlet in greenlets[::3]:
        gevent.sleep(0)
        greenlet.kill(block=False)
    gevent.joinall(greenlets)
    hub.handle_error = silent
    until(lambda: statistics().in_use + statistics().discarding == 0, "given back")
    assert statistics().open <= 3
    assert query() == 1


def test_connecting_again_gives_the_first_connection_back(lite):
    """Django forgets the one it had; the pool does not."""
    query()
    connections[ALIAS].connect()
    until(lambda: statistics().discarding == 0, "closed")
    assert (statistics().in_use, statistics().idle) == (1, 0)


def test_without_a_pool_the_hub_turns_all_the_same(lite):
    """``pool: False`` means connections as Django keeps them, with native threads."""
    connections[ALIAS].close()
    connections[ALIAS].settings_dict["OPTIONS"]["pool"] = False
    by_timeout(lambda: query(ENDLESS))
    assert query() == 1
    assert statistics().in_use == 0
    connections[ALIAS].close()


def test_settings_of_a_session_do_not_reach_the_next(lite):
    """A PRAGMA, an attached database, a temporary table or a row factory ends with its holder."""
    lite(max_size=1)
    query("PRAGMA foreign_keys(OFF)")
    query("ATTACH ':memory:' AS beside")
    query("CREATE TEMP TABLE mine (x integer)")
    connections[ALIAS].connection.row_factory = sqlite3.Row
    close()
    until(lambda: statistics().discarding == 0, "closed")
    assert query("PRAGMA foreign_keys") == 1
    query("PRAGMA table_info(t)")  # which asks
    close()
    assert statistics().discarding == 0
    assert query("SELECT count(*) FROM sqlite_temp_master") == 0
    assert query("SELECT count(*) FROM pragma_database_list WHERE name = 'beside'") == 0
    assert connections[ALIAS].connection.row_factory is None


def test_a_function_does_not_reach_the_next(lite):
    """Nor do hooks, as what is registered cannot be asked for; copying out changes nothing."""
    lite(max_size=1)
    query()
    connections[ALIAS].connection.create_function("mine", 0, lambda: 7)
    assert query("SELECT mine()") == 7
    close()
    until(lambda: statistics().discarding == 0, "closed")
    with pytest.raises(OperationalError, match="mine"):
        query("SELECT mine()")
    assert connections[ALIAS].connection.serialize()
    close()
    assert (statistics().discarding, statistics().idle) == (0, 1)


def test_a_replaced_file_is_noticed(lite, tmp_path):
    """Who gets a connection next reads the file that is there now."""
    query("INSERT INTO t VALUES (1)")
    close()
    for old in tmp_path.glob("lite.sqlite3*"):
        old.unlink()
    with sqlite3.connect(tmp_path / "lite.sqlite3") as made:
        made.execute("CREATE TABLE t (x integer)")
    made.close()
    assert query("SELECT count(*) FROM t") == 0


@pytest.mark.slow
def test_a_file_that_cannot_be_opened_is_an_error_of_django(lite, tmp_path):
    """The error of an attempt reaches all who wait for it, and the next attempt may succeed."""
    connections[ALIAS].settings_dict["NAME"] = str(tmp_path / "nowhere" / "x.sqlite3")
    close()
    with pytest.raises(OperationalError, match="unable to open"):
        query()
    errors = map_each(lambda _: query(), range(20), limit=None, return_exceptions=True)
    assert {type(error) for error in errors} == {OperationalError}
    (tmp_path / "nowhere").mkdir()
    assert map_each(lambda _: query(), range(20), limit=None) == [1] * 20


@pytest.mark.slow
def test_a_rush_at_a_new_file(lite, tmp_path):
    """Those who open it while another one turns write-ahead logging on do not fail."""
    for number in range(10):
        close()
        connections.settings[ALIAS]["NAME"] = str(tmp_path / f"{number}.sqlite3")
        assert map_each(lambda _: query(), range(20), limit=None) == [1] * 20


def test_a_read_only_database_is_read(lite, tmp_path):
    """Write-ahead logging is for files that can be written."""
    path = tmp_path / "fixed.sqlite3"
    with sqlite3.connect(path) as made:
        made.execute("CREATE TABLE t (x integer)")
    made.close()
    lite(f"file:{path}?mode=ro")
    assert query("SELECT count(*) FROM t") == 0
    assert query("PRAGMA journal_mode") == "delete"


# In memory


@pytest.mark.parametrize("name", [":memory:", "file:shared?mode=memory&cache=shared"])
def test_a_database_in_memory_is_one_for_all(lite, name):
    """Every greenlet sees the same rows, and they outlive all connections of the pool."""
    lite(name)
    query("DELETE FROM t")
    map_each(lambda x: query("INSERT INTO t VALUES (%s)", x), range(50), limit=50)
    close()
    registry.forget(ALIAS)
    assert query("SELECT count(*) FROM t") == 50
    query("DROP TABLE t")


def test_a_database_in_memory_ignores_a_close_inside_atomic(lite):
    """As in Django, where a test case is one transaction."""
    lite(":memory:")
    with atomic():
        query("INSERT INTO t VALUES (1)")
        connections[ALIAS].close()
        assert query("SELECT count(*) FROM t") == 1
    query("DROP TABLE t")


def test_a_test_database_in_a_file_is_made_and_destroyed(lite, tmp_path):
    """Twice in a row it starts empty, and nothing of it is left."""
    wrapper = connections[ALIAS]
    name = wrapper.settings_dict["NAME"]
    wrapper.settings_dict["TEST"]["NAME"] = str(tmp_path / "test.sqlite3")
    for _ in range(2):
        wrapper.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
        assert query("SELECT count(*) FROM auth_group") == 0
        Group.objects.using(ALIAS).create(name="one")
        assert map_each(lambda _: query("SELECT name FROM auth_group"), [1], limit=1) == ["one"]
        wrapper.creation.destroy_test_db(name, verbosity=0)
        assert wrapper.settings_dict["NAME"] == name
    assert not list(tmp_path.glob("test.sqlite3*"))
    assert query("SELECT count(*) FROM t") == 0


def test_a_test_database_in_memory_is_made_and_left(lite):
    """As in Django it is still there when it is made again."""
    wrapper = connections[ALIAS]
    name = wrapper.settings_dict["NAME"]
    for expected in (0, 1):
        wrapper.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
        assert wrapper.is_in_memory_db()
        assert query("SELECT count(*) FROM auth_group") == expected
        Group.objects.using(ALIAS).create(name=f"group {expected}")
        assert map_each(lambda _: query("SELECT count(*) FROM auth_group"), [1], limit=1) == [
            expected + 1
        ]
        wrapper.creation.destroy_test_db(name, verbosity=0)
    assert query("SELECT count(*) FROM t") == 0


def test_a_copy_of_a_test_database_has_what_was_written(lite, tmp_path):
    """Also what was in the write-ahead log alone."""
    query("INSERT INTO t VALUES (1)")
    wrapper = connections[ALIAS]
    wrapper.creation.clone_test_db(suffix="2", verbosity=0)
    with sqlite3.connect(tmp_path / "lite_2.sqlite3") as copy:
        assert copy.execute("SELECT count(*) FROM t").fetchone() == (1,)
    copy.close()


# Django


@pytest.fixture
def migrated(lite: Make) -> None:
    """The tables of users and permissions."""
    call_command("migrate", "auth", database=ALIAS, verbosity=0)


@pytest.mark.slow
def test_djangos_own_tables(migrated):
    """Migrations, queries over relations, bulk insertion, deletion, aggregation."""
    assert Permission.objects.using(ALIAS).count() > 0
    groups = Group.objects.using(ALIAS)
    groups.bulk_create(Group(name=f"g{x}") for x in range(300))
    user = User.objects.db_manager(ALIAS).create_user("somebody")
    user.groups.set(groups.filter(name__startswith="g1"))
    assert groups.filter(user=user).count() == 111
    assert sorted(each.pk for each in groups.iterator(chunk_size=50)) == list(range(1, 301))
    assert groups.select_for_update().get(name="g7").name == "g7"
    assert groups.filter(name__regex="^g2.$").delete()[0] == 10
    assert ContentType.objects.using(ALIAS).get(model="group").app_label == "auth"


@pytest.mark.slow
def test_foreign_keys_are_checked(migrated):
    """At the end of a transaction; the schema editor may break them meanwhile."""
    with pytest.raises(IntegrityError), atomic():
        query("INSERT INTO auth_group_permissions (group_id, permission_id) VALUES (9999, 1)")
    wrapper = connections[ALIAS]
    with wrapper.schema_editor() as editor:
        editor.execute(
            "INSERT INTO auth_group_permissions (group_id, permission_id) VALUES (9999, 1)"
        )
        editor.execute("DELETE FROM auth_group_permissions")
    assert query("SELECT count(*) FROM auth_group_permissions") == 0
    assert query("PRAGMA foreign_keys") == 1


@pytest.mark.slow
def test_tables_can_be_inspected(migrated):
    """``inspectdb`` writes the models of the tables."""
    out = io.StringIO()
    call_command("inspectdb", "auth_group", database=ALIAS, stdout=out)
    assert "class AuthGroup(models.Model)" in out.getvalue()


def test_hooks_run_after_the_commit(lite):
    """``on_commit`` once and in order, and not after a rollback."""
    seen: list[object] = []
    with atomic():
        transaction.on_commit(lambda: seen.append(query("SELECT count(*) FROM t")), using=ALIAS)
        query("INSERT INTO t VALUES (1)")
        with pytest.raises(ValueError, match="back"), atomic():
            transaction.on_commit(lambda: seen.append("never"), using=ALIAS)
            raise ValueError("back")
    assert seen == [1]


def test_an_error_inside_a_savepoint_goes_back_to_it(lite):
    """What failed is undone alone."""
    query("CREATE UNIQUE INDEX only_once ON t (x)")
    with atomic():
        query("INSERT INTO t VALUES (1)")
        with pytest.raises(IntegrityError), atomic():
            query("INSERT INTO t VALUES (2)")
            query("INSERT INTO t VALUES (1)")
        query("INSERT INTO t VALUES (3)")
    assert query("SELECT group_concat(x) FROM t") == "1,3"


def test_without_autocommit_a_transaction_is_the_users(lite):
    """It begins with the first write, ends with ``commit``, and holds the turn until then."""
    wrapper = connections[ALIAS]
    wrapper.set_autocommit(False)
    query("INSERT INTO t VALUES (1)")
    other = gevent.spawn(query, "INSERT INTO t VALUES (2)")
    gevent.sleep(0.01)
    assert not other.ready()
    wrapper.commit()
    other.join(timeout=5)
    query("INSERT INTO t VALUES (3)")
    wrapper.rollback()
    wrapper.set_autocommit(True)
    assert query("SELECT group_concat(x) FROM t") == "1,2"


def test_an_error_of_the_database_is_djangos(lite):
    """What is no kill is not touched."""
    with pytest.raises(DatabaseError, match="no such table"):
        query("SELECT * FROM missing")
    assert query() == 1


UNPATCHED = """
import sqlite3, sys
from django.conf import settings
settings.configure(DATABASES={"default": {"ENGINE": "concurrency.db.backends.sqlite3",
                                          "NAME": sys.argv[1], "OPTIONS": {"pool": {}}}})
from django.db import connection, transaction
connection.ensure_connection()
with transaction.atomic():
    pass
print(type(connection.connection) is sqlite3.Connection, connection.transaction_mode,
      connection.connection.execute("PRAGMA journal_mode").fetchone()[0])
"""


@pytest.mark.slow
def test_in_a_process_that_is_not_patched_it_is_djangos_backend(tmp_path):
    """No threads, no pool, no other mode of transactions or of the file."""
    done = subprocess.run(
        [sys.executable, "-c", UNPATCHED, str(tmp_path / "x.sqlite3")],
        env={**os.environ, "CONCURRENCY_PATCH": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "True None delete\n"
