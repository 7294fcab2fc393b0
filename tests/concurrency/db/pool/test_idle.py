"""Greenlets that live for long and do nothing do not keep others from working."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import gevent
import pytest
from django.db import connection, transaction
from gevent.event import Event

from concurrency import gather
from concurrency.db import keep_lease
from concurrency.db.pool import reaper, registry
from concurrency.errors import PoolTimeout
from tests.concurrency.db.conftest import query, statistics, warm
from tests.helpers import until

pytestmark = pytest.mark.targets("postgresql", "mariadb", "sqlite")


@pytest.fixture
def impatient(monkeypatch):
    """Idle is who has done nothing for a moment."""
    monkeypatch.setattr(reaper, "IDLE", 0.01)


@contextmanager
def idle_after(work):
    """A greenlet does some work, then waits without an end; yields how to let it go on."""
    begun, go_on, results = Event(), Event(), []

    def live():
        held = work()
        begun.set()
        go_on.wait()
        results.append(query())
        del held

    greenlet = gevent.spawn(live)
    assert begun.wait(5)

    def proceed():
        go_on.set()
        greenlet.join(5)
        return results

    try:
        yield proceed
    finally:
        go_on.set()
        greenlet.join()


def with_a_variable():
    """Have a closed cursor in a variable, as a loop does that executes and waits."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
    return cursor


@pytest.mark.parametrize("work", [query, with_a_variable])
def test_a_clean_lease_of_an_idle_greenlet_is_taken_back(pool, target, impatient, work):
    """When others wait; the greenlet takes another one at its next statement."""
    pool(max_size=1)
    with idle_after(work) as proceed:
        assert gather(query) == [1]
        assert proceed() == [1]


def test_nothing_is_taken_while_nobody_waits(pool, target, impatient):
    """However long its greenlet is idle."""
    pool(max_size=2)
    with idle_after(query):
        registry.pools["default"].reap()
        gevent.sleep(0.02)
        registry.pools["default"].reap()
        assert statistics().in_use == 1


def open_cursor():
    cursor = connection.cursor()
    cursor.execute("SELECT 1")
    return cursor


def raw_connection():
    query()
    return connection.connection


def raw_cursor():
    query()
    return connection.connection.cursor()


def kept():
    keeping = keep_lease()
    keeping.__enter__()
    query()
    return keeping


def in_transaction():
    block = transaction.atomic()
    block.__enter__()
    query()
    return block


def without_autocommit():
    transaction.set_autocommit(False)
    query()


def changed_session():
    query("CREATE TEMPORARY TABLE mine (id int)")


BOUND = {
    open_cursor: "a cursor, or the driver's connection, is still referred to",
    raw_connection: "a cursor, or the driver's connection, is still referred to",
    raw_cursor: "a cursor, or the driver's connection, is still referred to",
    kept: "keep_lease() says so",
    in_transaction: "it is inside atomic",
    without_autocommit: "autocommit is off",
    changed_session: "its session was changed, as by SET or a temporary table",
}


@pytest.mark.parametrize("work", BOUND)
def test_what_depends_on_the_connection_keeps_it(pool, target, impatient, work):
    """And whoever waits is told who has it, and why it was not taken back."""
    pool(max_size=1, timeout=0.3)
    warm()

    def live():
        held.append(work())
        begun.set()
        end.wait()
        connection.close()
        held.clear()

    held, begun, end = [], Event(), Event()
    greenlet = gevent.spawn(live)
    assert begun.wait(5)
    lease = registry.pools["default"].leases()[0]
    assert lease.holder().bound_by() == BOUND[work]
    with pytest.raises(PoolTimeout):
        gather(query)
    assert statistics().in_use == 1
    end.set()
    greenlet.kill()


def test_the_holder_is_named_with_what_keeps_it(pool, target, impatient):
    """By its task, where that was spawned, and why it is not taken back."""
    pool(max_size=1, timeout=0.4)
    warm()
    with idle_after(lambda: (query(), connection.connection)), pytest.raises(PoolTimeout) as error:
        gather(query)
    (holder,) = error.value.holders
    assert holder.greenlet.startswith('greenlet "live", spawned at test_idle.py:')
    assert holder.kept == BOUND[raw_connection]
    assert f"which keeps it while idle because {holder.kept}" in str(error.value)


def test_an_executor_gives_back_after_each_piece_of_work(pool, target):
    """Its threads live on, and hold nothing."""
    pool(max_size=2)
    with ThreadPoolExecutor(max_workers=4) as executor:
        seen = list(executor.map(lambda _: query(), range(8)))
        assert seen == [1] * 8
        assert statistics().in_use == 0
        assert executor.submit(lambda: statistics().in_use).result() == 0


def test_an_executor_keeps_what_a_piece_of_work_has_begun(pool, target):
    """A transaction that the next piece of work ends; one thread may serve a database alone."""
    with ThreadPoolExecutor(max_workers=1) as executor:
        executor.submit(lambda: (transaction.set_autocommit(False), query())).result()
        assert statistics().in_use == 1
        executor.submit(lambda: (transaction.rollback(), transaction.set_autocommit(True))).result()
        assert statistics().in_use == 0


@pytest.mark.slow
def test_a_crowd_of_idle_threads_starves_nobody(pool, target, caplog):
    """Eight threads that were busy once, on a pool of two, and requests that come later."""
    pool(max_size=2, timeout=5.0)
    caplog.set_level(logging.WARNING, "concurrency.db")
    end = threading.Event()
    results = []

    def live():
        results.append(query())
        end.wait()
        results.append(query())

    threads = [threading.Thread(target=live) for _ in range(8)]
    for thread in threads:
        thread.start()
    until(lambda: len(results) == 8, "each has had its turn", limit=20.0)
    assert gather(query, query) == [1, 1]
    end.set()
    for thread in threads:
        thread.join()
    assert results == [1] * 16
