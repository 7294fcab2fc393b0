"""Greenlets that wait for children lend them their connections, unless something binds them."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from django.db import connection, transaction
from gevent.event import Event

from concurrency import TaskGroup, gather, joinall, map_each, offload, spawn
from concurrency.db import keep_lease
from concurrency.errors import PoolTimeout
from tests.concurrency.db.conftest import query, statistics
from tests.helpers import until

pytestmark = pytest.mark.targets("postgresql", "mariadb")


def test_two_parents_with_one_child_each_on_a_pool_of_two(pool):
    """A parent that waits for its children lends its connection to them."""
    pool(max_size=2, timeout=2.0)
    both = Event()
    parents = []

    def parent():
        query()
        parents.append(1)
        if len(parents) == 2:
            both.set()
        both.wait()
        (answer,) = gather(lambda: query("SELECT 7"))
        return answer + query("SELECT 1")

    assert gather(parent, parent) == [8, 8]


@pytest.mark.parametrize("verb", ["gather", "map_each", "TaskGroup", "joinall", "offload"])
def test_every_verb_lends_while_it_waits(pool, verb):
    """A pool of one is enough for a parent and its child."""
    pool(max_size=1, timeout=2.0)
    query()
    if verb == "gather":
        assert gather(query) == [1]
    elif verb == "map_each":
        assert map_each(lambda _: query(), [0], limit=1) == [1]
    elif verb == "joinall":
        assert joinall([spawn(query)]) == [1]
    elif verb == "offload":
        assert offload(query) == 1
    else:
        with TaskGroup() as group:
            task = group.spawn(query)
        assert task.result() == 1
    assert query() == 1


def test_lending_can_be_turned_off(pool):
    """lend_while_waiting=False keeps the connection with the parent."""
    pool(max_size=1, timeout=5.0, lend_while_waiting=False)
    query()
    with pytest.raises(PoolTimeout):
        gather(query)


@contextmanager
def in_atomic(target):
    with transaction.atomic():
        yield


@contextmanager
def autocommit_off(target):
    transaction.set_autocommit(False)
    try:
        yield
    finally:
        transaction.set_autocommit(True)


@contextmanager
def unread_rows(target):
    cursor = target.unread_rows()
    try:
        yield
    finally:
        cursor.close()


@contextmanager
def kept(target):
    with keep_lease():
        yield


@pytest.mark.filterwarnings("ignore:database 'default' is used by the child")
@pytest.mark.parametrize("binding", [in_atomic, autocommit_off, unread_rows, kept])
def test_a_connection_that_something_depends_on_is_not_lent(pool, target, binding):
    """Transactions, unread rows and keep_lease bind the connection to its greenlet."""
    mine = query(target.session)
    with binding(target):
        (other,) = gather(lambda: query(target.session))
        assert other != mine
    assert query(target.session) == mine
    connection.close()
    until(lambda: statistics().in_use + statistics().discarding == 0, "given back")


def test_a_kept_session_is_reset_before_the_next_holder(pool, target):
    """What was changed inside keep_lease does not reach anybody else."""
    pool(max_size=1)
    with keep_lease():
        query(target.change)
    connection.close()
    until(lambda: statistics().discarding == 0, "reset")
    assert query(target.look) is None


def test_offload_has_a_connection_of_its_own_and_gives_it_back(pool, target):
    """A native thread never shares the session of its caller."""
    with transaction.atomic():
        mine = query(target.session)
        assert offload(query, target.session) != mine
        assert statistics().in_use == 1


def test_many_offloaded_queries_share_the_pool(pool):
    """Threads wait in the same queue as greenlets."""
    pool(max_size=2)
    answers = map_each(lambda n: offload(query, "SELECT %s", n), range(30), limit=None)
    assert answers == list(range(30))
    until(lambda: statistics().in_use == 0, "given back")
    assert statistics().open <= 2
