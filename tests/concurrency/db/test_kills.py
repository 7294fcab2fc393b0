"""Killed in the middle: the statement stops on the server, the connection stays fit."""

from __future__ import annotations

import signal
from pathlib import Path

import gevent
import psutil
import pytest
from django.db import DatabaseError, OperationalError, connection, transaction

from concurrency import deadline
from concurrency.errors import DeadlineExceeded
from tests.concurrency.db.conftest import query, statistics
from tests.helpers import until

pytestmark = pytest.mark.targets("postgresql", "mariadb")


@pytest.fixture
def table(pool):
    """A table for the ids of one test."""
    query("CREATE TABLE ids (id int)")
    connection.close()
    yield "ids"
    connection.close()
    query("DROP TABLE ids")


def by_deadline(fn):
    with pytest.raises(DeadlineExceeded), deadline(0.05):
        fn()


def by_timeout(fn):
    with gevent.Timeout(0.05, False):
        fn()


def by_kill(fn):
    greenlet = gevent.spawn(fn)
    gevent.sleep(0.05)
    greenlet.kill()


WAYS = [by_deadline, by_timeout, by_kill]


@pytest.mark.parametrize("way", WAYS)
def test_the_statement_is_stopped_on_the_server(pool, target, observer, way):
    """No server works on for a greenlet that has gone, and the session is used again."""
    query()
    connection.close()
    way(lambda: query(target.sleep(30)))
    until(lambda: observer.running("sleep") == 0, "stopped")
    assert query() == 1
    assert observer.sessions() == 1


@pytest.mark.targets("postgresql")
def test_a_cancel_that_overtakes_its_statement_is_repeated(pool, target, observer):
    """The server drops one that arrives before it has begun with the statement."""
    pool(max_size=1)
    backend = psutil.Process(query(target.session))
    connection.close()
    backend.suspend()
    try:
        until(lambda: backend.status() == psutil.STATUS_STOPPED, "it is frozen")
        victim = gevent.spawn(query, target.sleep(30))
        until(lambda: statistics().in_use == 1, "the statement is sent")
        killer = gevent.spawn(victim.kill)
        until(lambda: has_pending(backend.pid, signal.SIGINT), "the cancel has arrived")
    finally:
        backend.resume()
    killer.join()
    assert (observer.running("sleep"), query(target.session)) == (0, backend.pid)


def has_pending(pid: int, number: int) -> bool:
    """Return whether a process has still to handle a signal."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (mask,) = (line.split()[1] for line in lines if line.startswith("ShdPnd:"))
    return bool(int(mask, 16) >> (number - 1) & 1)


@pytest.mark.parametrize("way", [by_deadline, by_timeout])
def test_a_kill_inside_a_savepoint_goes_back_to_the_savepoint(pool, target, table, way):
    """The transaction around it goes on, with what it had written."""
    with transaction.atomic():
        query("INSERT INTO ids VALUES (1)")

        def inner():
            with transaction.atomic():
                query("INSERT INTO ids VALUES (2)")
                query(target.sleep(30))

        way(inner)
        assert query("SELECT sum(id) FROM ids") == 1
    assert query("SELECT sum(id) FROM ids") == 1


@pytest.mark.parametrize("way", WAYS)
def test_a_killed_transaction_is_rolled_back(pool, target, table, observer, way):
    """Nothing of it is committed and nothing stays open."""

    def write():
        with transaction.atomic():
            query("INSERT INTO ids VALUES (1)")
            query(target.sleep(30))

    way(write)
    assert query("SELECT count(*) FROM ids") == 0
    assert observer.in_transaction() == 0


def test_a_hundred_killed_at_once(pool, target, observer):
    """The pool is whole again, and nothing runs on."""
    pool(max_size=10)
    with observer.holding():
        for _ in range(10):
            victims = [gevent.spawn(query, target.endless) for _ in range(10)]
            until(lambda: observer.running() == 10, "running")
            gevent.killall(victims)
        until(lambda: observer.running() == 0, "stopped")
    until(lambda: statistics().in_use + statistics().discarding == 0, "given back")
    assert observer.sessions() <= 10
    assert query() == 1


@pytest.mark.slow
def test_a_server_that_does_not_answer_the_cancel_is_left(pool, target, observer, proxy):
    """The kill takes its budget at most, the slot counts until then; it is told when it is back."""
    pool(max_size=1, HOST=proxy.host, PORT=proxy.port)
    session = query(target.session)
    connection.close()
    victim = gevent.spawn(query, target.sleep(30))
    until(lambda: observer.running("sleep") == 1, "running")
    proxy.deafen()
    victim.kill(timeout=10)
    assert victim.dead
    assert statistics().in_use == 0
    proxy.hear()
    until(lambda: statistics().discarding == 0, "discarded")
    # What is still to be told must not hit somebody else.
    assert query(target.session) != session
    until(lambda: observer.running("sleep") == 0, "stopped")


def test_an_error_of_the_database_is_djangos(pool):
    """What is no kill is not touched."""
    with pytest.raises(DatabaseError):
        query("SELECT nonsense")
    assert query() == 1


LIMITS = {
    "postgresql": ("SET LOCAL statement_timeout = 20", "SELECT pg_sleep(30)"),
    "mariadb": ("SELECT 1", "SET STATEMENT max_statement_time = 0.02 FOR SELECT SLEEP(30)"),
}


def test_a_limit_of_the_server_is_an_error_of_django_and_no_kill(pool, target, table):
    """Its transaction is undone as after any error, and the session is used again."""
    pool(max_size=1)
    session = query(target.session)
    limit, statement = LIMITS[target.name]
    with pytest.raises(OperationalError), transaction.atomic():
        query("INSERT INTO ids VALUES (1)")
        query(limit)
        query(statement)
    assert (query("SELECT count(*) FROM ids"), query(target.session)) == (0, session)
    connection.close()
    assert query(target.session) == session


def test_a_kill_while_a_cursor_is_iterated_reaches_nobody_else(pool, target, observer):
    """Neither is the slot lost, nor does the kill go to who has the connection next."""
    pool(max_size=1)

    def read():
        transaction.set_autocommit(False)
        cursor = connection.chunked_cursor()
        cursor.execute(target.sleep(30))
        for _ in cursor:
            pytest.fail("it is meant to be killed")

    greenlet = gevent.spawn(read)
    until(lambda: observer.running("sleep") == 1 or observer.running("FETCH") == 1, "running")
    greenlet.kill()
    assert isinstance(greenlet.value, gevent.GreenletExit)
    until(lambda: statistics().in_use + statistics().discarding == 0, "given back")
    assert query() == 1
    until(lambda: observer.running() == 0, "stopped")
