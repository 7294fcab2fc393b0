"""Results that are long or cut off: what is left of one never reaches another statement."""

from __future__ import annotations

import socket

import gevent
import pytest
from django.db import connection, transaction

from concurrency.db.drivers.pymysql.stream import Stream
from tests.concurrency.db.conftest import give_back, query, statistics
from tests.concurrency.db.drivers.pymysql.session import BIG, stream
from tests.helpers import until

pytestmark = pytest.mark.targets("mariadb")


def test_a_kill_in_the_middle_of_a_result_keeps_the_connection(one, target, observer):
    """What is left of the result is dropped, and the next one gets its own."""
    session = query(target.session)
    killed = 0
    while killed < 5:
        finished = False
        with gevent.Timeout(0.05, False):
            query(BIG)
            finished = True  # on a machine that had no time for the timer
        killed += not finished
        assert query("SELECT 42") == 42
        until(lambda: observer.running("seq_1") == 0, "stopped")
    assert query(target.session) == session


def test_others_run_while_there_is_always_more_to_read():
    """A server that sends faster than its answer is read does not keep the hub to itself."""
    pauses = []
    near, far = socket.socketpair()
    with near, far:
        stream = Stream(near, pauses.append)
        for _ in range(far.send(b"x" * 200_000)):
            assert stream.receive_into(bytearray(1)) == 1
    assert set(pauses) == {0}


def test_a_kill_while_rows_are_streamed_keeps_the_connection(one, target, observer):
    """Rows that were on their way to a killed reader are dropped."""
    session = query(target.session)
    cursor = stream(f"{BIG} WHERE seq % 5000 = 0 AND SLEEP(0.01) = 0")
    assert cursor.fetchone() is not None
    with gevent.Timeout(0.05, False):
        for _ in cursor:
            pass
        pytest.fail("it is meant to be killed")
    assert query("SELECT 42") == 42
    assert query(target.session) == session
    until(lambda: observer.running("seq_1") == 0, "stopped")


def test_rows_that_nobody_wants_are_not_read(one, target, observer):
    """The statement of a cursor that was left open is stopped, not waited for."""
    session = query(target.session)
    cursor = stream(f"{BIG} WHERE SLEEP(0.01) = 0")
    assert cursor.fetchone() is not None
    give_back()
    assert query(target.session) == session
    until(lambda: observer.running("seq_1") == 0, "stopped")


@pytest.mark.slow
def test_a_result_that_stops_in_the_middle_ends_on_the_server(pool, target, observer, proxy):
    """The connection is given up after the budget; its slot is free when the server is done."""
    pool(max_size=1, HOST=proxy.host, PORT=proxy.port)
    query()
    connection.close()
    victim = gevent.spawn(query, BIG)
    until(lambda: observer.running("seq_1") == 1, "running")
    proxy.deafen()
    victim.kill(timeout=10)
    assert victim.dead
    assert statistics().in_use == 0
    proxy.hear()
    until(lambda: statistics().discarding == 0, "discarded")
    assert query("SELECT 42") == 42
    until(lambda: observer.running("seq_1") == 0 and observer.sessions() == 1, "ended")
    until(lambda: observer.controls() == 0, "closed")


def test_a_kill_while_a_large_statement_is_sent_keeps_the_connection(one, target, observer):
    """Half a statement is sent to its end."""
    session = query(target.session)
    with transaction.atomic():
        killed = False
        while not killed:
            with gevent.Timeout(0.001, False):
                query("SELECT LENGTH(%s)", "x" * 15_000_000)
                continue  # on a machine that had no time for the timer
            killed = True
        assert query("SELECT 42") == 42
    assert query(target.session) == session
