"""Leases: who gets a connection, and that it always comes back."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import gevent
import greenlet
import pytest
from django.core.signals import request_finished, request_started
from django.db import DatabaseError, close_old_connections, connection, connections, transaction
from gevent.event import Event

from concurrency import TaskGroup, map_each, offload, spawn
from concurrency.db.pool import registry
from tests.concurrency.db.conftest import query, statistics, warm
from tests.helpers import until

pytestmark = pytest.mark.targets("postgresql", "mariadb")


def test_a_query_takes_a_lease_and_close_gives_it_back(pool, target):
    """The first query takes a connection, later ones use it, close() returns it open."""
    query()
    query()
    assert (statistics().in_use, statistics().open) == (1, 1)
    connection.close()
    assert (statistics().in_use, statistics().idle) == (0, 1)
    connection.close()
    assert statistics().idle == 1


def test_a_connection_is_used_again(pool, target):
    """The next lease gets the same session of the server."""
    first = query(target.session)
    connection.close()
    assert query(target.session) == first


@pytest.mark.parametrize("signal", [request_started, request_finished])
def test_the_end_of_a_request_gives_the_lease_back(pool, signal):
    """Django's own signals are what ends a lease in a request."""
    query()
    signal.connect(close_old_connections)
    signal.send(sender=None, environ={})
    assert statistics().in_use == 0


def test_the_end_of_a_request_leaves_a_transaction_alone(pool):
    """A test case that runs inside atomic keeps its connection."""
    with transaction.atomic():
        query()
        close_old_connections()
        assert statistics().in_use == 1


def test_each_greenlet_has_a_connection_of_its_own(pool, target):
    """Children at work at the same time are different sessions."""

    at_work = []

    def child(number):
        query()
        at_work.append(number)
        until(lambda: len(at_work) == 4, "all at work")
        return query(target.session_after(0))

    assert len(set(map_each(child, range(4), limit=4))) == 4


def returns(target=None):
    query()


def raises(target=None):
    query()
    raise RuntimeError("expected")


def is_killed(target=None):
    query()
    gevent.getcurrent().kill(block=False)
    Event().wait()


def is_killed_in_a_query(target=None):
    gevent.spawn_later(0.02, gevent.getcurrent().kill, block=False)
    query(target.sleep(30))


def leaves_a_transaction_open(target=None):
    transaction.set_autocommit(False)
    query("INSERT INTO scratch VALUES (1)")


def leaves_a_cursor_open(target=None):
    open_cursors.append(target.unread_rows())


open_cursors: list[object] = []
ENDINGS = [
    returns,
    raises,
    is_killed,
    is_killed_in_a_query,
    leaves_a_transaction_open,
    leaves_a_cursor_open,
]


def by_raw_spawn(fn):
    gevent.spawn(fn).join()


def by_our_spawn(fn):
    spawn(fn).join()


def by_group(fn):
    try:
        with TaskGroup() as group:
            group.spawn(fn)
    except ExceptionGroup:
        return


def by_thread(fn):
    def quiet():
        try:
            fn()
        except RuntimeError:
            return

    thread = threading.Thread(target=quiet)
    thread.start()
    thread.join()


def by_executor(fn):
    with ThreadPoolExecutor(1) as executor:
        executor.submit(fn).exception()


def by_offload(fn):
    try:
        offload(fn)
    except RuntimeError:
        return


def by_spawn_raw(fn):
    ended = Event()

    def quiet():
        try:
            fn()
        except (RuntimeError, gevent.GreenletExit):
            return
        finally:
            ended.set()

    gevent.spawn_raw(quiet)
    ended.wait()


def by_bare_greenlet(fn):
    ended = Event()

    def quiet():
        try:
            fn()
        except (RuntimeError, gevent.GreenletExit):
            return
        finally:
            ended.set()

    bare = greenlet.greenlet(quiet, parent=gevent.get_hub())
    gevent.get_hub().loop.run_callback(bare.switch)
    ended.wait()


WAYS = [by_raw_spawn, by_our_spawn, by_group, by_thread]
# A native thread, a worker of an executor and what is no Greenlet cannot be killed by itself.
UNKILLABLE = [by_executor, by_offload, by_spawn_raw, by_bare_greenlet]
PAIRS = [(way, ending) for way in WAYS for ending in ENDINGS]
PAIRS += [(way, e) for way in UNKILLABLE for e in ENDINGS if "killed" not in e.__name__]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("way", "ending"), PAIRS)
def test_the_lease_comes_back_however_a_greenlet_ends(pool, target, observer, way, ending):
    """Returned, raised, killed: started by whomever, the connection is free and clean again."""
    open_cursors.clear()
    pool(max_size=1)
    way(lambda: ending(target))
    until(lambda: statistics().in_use + statistics().discarding == 0, "given back")
    assert query() == 1
    assert observer.in_transaction() == 0
    until(lambda: observer.running() == 0, "stopped")
    assert query(target.open_cursors) == 0
    assert observer.sessions() == 1
    open_cursors.clear()


@pytest.mark.slow
def test_a_dead_greenlet_without_a_link_is_found_by_the_reaper(pool):
    """Bare greenlets of which gevent knows nothing are looked for once a second."""
    seen: list[int] = []
    query()
    connection.close()
    # It cannot wait in the hub's loop by itself; the query above has opened the connection.
    by_spawn_raw(lambda: (query(), seen.append(statistics().in_use)))
    assert seen == [1]
    until(lambda: statistics().in_use == 0, "reaped")


@pytest.mark.slow
def test_the_reaper_watches_what_was_opened_for_somebody_who_is_gone(pool):
    """Who leases that connection at once has not waited for it, and is watched as well."""
    seen: list[int] = []
    pool(max_size=1)
    gone = gevent.spawn(query)
    gevent.sleep(0)
    assert statistics().connecting == 1
    gone.kill()
    while not statistics().idle:
        gevent.sleep(0)
    query()
    connection.close()
    by_spawn_raw(lambda: (query(), seen.append(statistics().in_use)))
    assert seen == [1]
    until(lambda: statistics().in_use == 0, "reaped")


def test_a_waiter_finds_dead_owners_at_once(pool):
    """Nobody waits a second for a connection that nobody holds."""
    pool(max_size=1, timeout=0.5)
    warm()
    by_spawn_raw(returns)
    assert query() == 1


@pytest.mark.slow
def test_a_wrapper_that_was_thrown_away_gives_its_connection_back(pool):
    """connections.create_connection() without close() leaks nothing."""
    pool(max_size=1)
    other = connections.create_connection("default")
    other.ensure_connection()
    assert statistics().in_use == 1
    del other
    import gc

    gc.collect()
    assert query() == 1


def test_a_connection_that_another_greenlet_has_opened_stays_with_its_wrapper(pool, target):
    """Django's tests share wrappers with the threads of servers, which end before they do."""
    mine = connections["default"]

    def open_it():
        mine.ensure_connection()

    mine.inc_thread_sharing()
    gevent.spawn(open_it).join()
    mine.dec_thread_sharing()
    session = query(target.session)
    registry.pools["default"].reap()
    assert statistics().in_use == 1
    assert query(target.session) == session


def test_a_wrapper_that_was_shared_later_keeps_its_connection(pool, target):
    """Whoever else has used it before, and whether it was allowed to."""
    mine = connections["default"]

    def open_it():
        with contextlib.suppress(DatabaseError):  # Django's: not shared
            mine.ensure_connection()
        told.set()
        shared.wait()
        mine.close_if_unusable_or_obsolete()
        mine.ensure_connection()

    told, shared = Event(), Event()
    other = gevent.spawn(open_it)
    told.wait()
    mine.inc_thread_sharing()
    shared.set()
    other.join()
    mine.dec_thread_sharing()
    session = query(target.session)
    registry.pools["default"].reap()
    assert statistics().in_use == 1
    assert query(target.session) == session
