"""A killed greenlet interrupts its statement of SQLite, and its transaction is consistent."""

from __future__ import annotations

import random
from time import perf_counter

import gevent
import pytest
from django.db import OperationalError, ProgrammingError, connections
from django.db.transaction import TransactionManagementError

from concurrency import map_each
from concurrency.testing import kill_at_every_switch
from tests.concurrency.db.drivers.sqlite.lite import (
    ALIAS,
    ENDLESS,
    NUMBERS,
    WAYS,
    atomic,
    by_deadline,
    by_timeout,
    close,
    native_sleep,
    query,
    statistics,
)
from tests.helpers import until


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
