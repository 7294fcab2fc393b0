"""Backends that derive from Django's become pooled by a mixin, and what they override is called."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import gevent
import pytest
from django.core.signals import request_finished
from django.db import close_old_connections, connection, connections

from concurrency import gather, hooks, map_each, offload
from tests.concurrency.db.conftest import query, statistics
from tests.helpers import until

SECRET = "SELECT current_setting('my.secret', true)"


@pytest.fixture
def derived(pool):
    """A pool of one connection of a derived backend."""
    pool(max_size=1, ENGINE="tests.concurrency.db.backends.derived")


def test_a_derived_backend_is_pooled(pool):
    """It leases, lends and sets its sessions up in its own way."""
    pool(max_size=2, ENGINE="tests.concurrency.db.backends.derived")
    names = map_each(lambda _: query("SHOW application_name"), range(10), limit=None)
    assert names == ["nobody"] * 10
    assert statistics().open <= 2
    assert statistics().in_use == 0


def test_each_lease_is_set_up_in_the_backend_s_own_way(derived):
    """What the last holder's backend has set up is not there for the next."""

    def work_for(tenant: str) -> str:
        connection.tenant = tenant
        return query("SHOW application_name")

    for tenant in ("alpha", "beta", "gamma"):
        assert gather(lambda tenant=tenant: work_for(tenant)) == [tenant]


def finish_request() -> None:
    request_finished.send(sender=None)


def end_work() -> None:
    hooks.run(hooks.at_end)


@pytest.mark.parametrize("leave", [close_old_connections, finish_request, end_work])
def test_a_backend_learns_at_once_that_its_connection_is_gone(derived, leave):
    """By ``close()``, whatever has ended the lease."""
    connection.tell()
    assert query(SECRET) == "told"
    leave()
    assert not connection.is_told
    assert query(SECRET) in (None, "")
    connection.close()


def test_a_backend_learns_that_its_connection_is_lent(derived):
    """What depends on the connection is done again after the wait."""
    query()
    connection.is_told = True
    gather(query)
    assert not connection.is_told
    connection.close()


def test_a_backend_of_an_ended_greenlet_learns_it_before_the_next_lease(derived):
    """The end is noticed in the hub, where nothing of others may run."""
    wrappers = []

    def work() -> None:
        connection.tell()
        wrappers.append(connections["default"])

    gevent.spawn(work).join()
    until(lambda: statistics().in_use == 0, "noticed")
    (wrapper,) = wrappers
    assert wrapper.is_told
    wrapper.inc_thread_sharing()
    wrapper.connect()
    assert not wrapper.is_told
    wrapper.close()


def test_a_connection_that_the_backend_refuses_is_replaced(pool):
    """With ``CONN_HEALTH_CHECKS``, as Django asks its ``is_usable()`` then; a new one is taken."""
    pool(max_size=1, ENGINE="tests.concurrency.db.backends.derived", CONN_HEALTH_CHECKS=True)
    session = query("SELECT pg_backend_pid()")
    connection.close()
    assert query("SELECT pg_backend_pid()") == session
    connection.close()
    connection.answer = False
    assert query("SELECT pg_backend_pid()") != session
    connection.close()
    connection.answer = None


def test_threads_executors_and_offload_leave_nothing_behind(derived):
    """Each has a wrapper of its own, and the session is as new for the next."""

    def work() -> str:
        connection.tell()
        return query(SECRET)

    threading.Thread(target=work).start()
    assert offload(work) == "told"
    with ThreadPoolExecutor(1) as executor:
        assert executor.submit(work).result() == "told"
    assert query(SECRET) in (None, "")
    connection.close()
