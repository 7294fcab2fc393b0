"""Writers of SQLite queue for their turn; readers do not wait for them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import gevent
import pytest
from django.db import OperationalError, connections

from concurrency import deadline, map_each
from concurrency.errors import DeadlineExceeded
from tests.concurrency.db.drivers.sqlite.lite import ALIAS, atomic, query, turns
from tests.helpers import until


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


def test_without_autocommit_a_transaction_is_the_users(lite):
    """It begins with the first write, ends with ``commit``, and holds the turn until then."""
    wrapper = connections[ALIAS]
    wrapper.set_autocommit(False)
    query("INSERT INTO t VALUES (1)")
    other = gevent.spawn(query, "INSERT INTO t VALUES (2)")
    until(lambda: turns().waiting == 1, "waiting for its turn")
    wrapper.commit()
    other.join(timeout=5)
    query("INSERT INTO t VALUES (3)")
    wrapper.rollback()
    wrapper.set_autocommit(True)
    assert query("SELECT group_concat(x) FROM t") == "1,2"
