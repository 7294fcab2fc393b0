"""Killed statements are stopped on MariaDB over a connection of its own."""

from __future__ import annotations

import random
from pathlib import Path

import gevent
import pytest
from django.db import OperationalError
from gevent.event import Event

from tests.concurrency.db.conftest import give_back, query, statistics
from tests.helpers import until

pytestmark = pytest.mark.targets("mariadb")


def test_statements_are_stopped_over_one_connection_at_most(pool, target, observer):
    """However many are killed at once; it is counted apart, and closed in the end."""
    pool(max_size=10)
    most, enough = [], Event()

    def descriptors():
        # The server shows a session for a moment longer than it has a socket.
        return sum(1 for _ in Path("/proc/self/fd").iterdir())

    def watch():
        while not enough.is_set():
            most.append((descriptors(), observer.sessions()))
            gevent.sleep(0)

    with observer.holding():
        victims = [gevent.spawn(query, target.endless) for _ in range(10)]
        until(lambda: observer.running() == 10, "running")
        before, opened = observer.kills(), descriptors()
        watcher = gevent.spawn(watch)
        gevent.killall(victims)
        enough.set()
        watcher.join()
    assert observer.kills() >= before + 10
    until(lambda: observer.controls() == 0, "closed")
    assert max(now for now, _ in most) <= opened + 1
    assert max(sessions for _, sessions in most) <= 10
    until(lambda: observer.running() == 0, "stopped")
    assert (statistics().idle, statistics().max_size) == (10, 10)


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_nobody_gets_the_answer_of_somebody_else(pool, observer):
    """Each asks for a number of its own, while a third of all are killed somewhere."""
    pool(max_size=5, timeout=60.0)
    wrong = []

    def ask(number):
        for _ in range(3):
            wanted = random.random()
            answer = query("SELECT %s + 0 * SLEEP(%s)", wanted, random.choice([0, 0, 0.002]))
            if float(answer) != pytest.approx(wanted):
                wrong.append((wanted, answer))

    greenlets = [gevent.spawn(ask, number) for number in range(600)]
    with observer.watching():
        for victim in greenlets[::3]:
            gevent.spawn_later(random.uniform(0, 0.5), victim.kill, block=False)
        gevent.joinall(greenlets, raise_error=True)
    assert wrong == []
    assert observer.most <= 5
    until(lambda: observer.controls() == 0, "closed")


def test_a_read_timeout_of_pymysql_stops_the_statement(pool, target, observer):
    """It closes the connection, as without a pool; the server is told, too."""
    pool(max_size=1, OPTIONS={"read_timeout": 0.05})
    with pytest.raises(OperationalError, match="timed out"):
        query(target.sleep(30))
    give_back()
    until(lambda: observer.running("sleep") == 0, "stopped")
    assert query() == 1
