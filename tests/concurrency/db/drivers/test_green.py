"""What waits for a database waits on the hub, without waking up."""

from __future__ import annotations

import gc
import os

import gevent
import pytest
from django.db import connection

from concurrency import map_each
from concurrency.db.pool import registry
from tests.concurrency.db.conftest import query, statistics
from tests.concurrency.db.drivers.counting import counting
from tests.helpers import until


def in_greenlets(number: int, fn) -> list[gevent.Greenlet]:
    return [gevent.spawn(fn) for _ in range(number)]


@pytest.mark.slow
@pytest.mark.targets("postgresql", "mariadb")
def test_nothing_wakes_up_while_statements_run(pool, observer, target):
    """Fifty greenlets wait for the server: neither they nor the loop do anything meanwhile."""
    pool(max_size=50)
    waiting = in_greenlets(50, lambda: query(target.sleep(30)))
    until(lambda: observer.running("30") == 50)
    with counting() as turns:
        gevent.sleep(0.25)
    gevent.killall(waiting)
    # The sleep itself and, once a second, a look for dead owners. Woken ten times a
    # second, as psycopg does it, they would be switched at least two hundred times.
    assert turns.switches < 20
    assert turns.iterations < 20
    # MariaDB may need seconds to end fifty SLEEPs.
    until(lambda: observer.running("30") + statistics().discarding == 0, "stopped", 15.0)


@pytest.fixture
def take_low_descriptors():
    """Have what is opened from now on a descriptor above 1,023, where select() of C ends."""
    opened = []

    def take():
        gc.collect()  # what it closes would be low and free
        opened.append(os.open(os.devnull, os.O_RDONLY))
        while opened[-1] < 1100:
            opened.append(os.dup(opened[0]))

    yield take
    for descriptor in opened:
        os.close(descriptor)


@pytest.mark.targets("postgresql", "mariadb")
def test_descriptors_above_a_thousand_are_no_limit(take_low_descriptors, pool, observer, target):
    """To connect, to wait, to be killed and to cancel: nothing calls select()."""
    pool(max_size=2)
    take_low_descriptors()
    killed = gevent.spawn(query, target.sleep(30))
    until(lambda: observer.running("30") == 1)
    connection.ensure_connection()
    assert registry.pools["default"]._driver.fileno(connection.connection) > 1023
    killed.kill(timeout=5)
    assert observer.running("30") == 0
    assert map_each(lambda n: query("SELECT %s", n), range(10), limit=10) == list(range(10))
