"""Waiting for a socket on the hub, with one watcher for its whole life."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import gevent
import pytest
from django.db import connection
from django.db.backends.postgresql.psycopg_any import is_psycopg3

from concurrency import map_each, offload
from concurrency.db.drivers.waiter import READ, WRITE, SocketWaiter
from tests.concurrency.db.conftest import query


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The two ends of a connection."""
    mine, other = socket.socketpair()
    with mine, other:
        yield mine, other


@pytest.fixture
def waiter(ends: tuple[socket.socket, socket.socket]) -> Iterator[SocketWaiter]:
    """Waits for the first of them."""
    made = SocketWaiter(ends[0].fileno())
    yield made
    made.close()


def test_it_waits_until_there_is_something_to_read(ends, waiter):
    """Others go on meanwhile, and what is possible is returned."""
    waiting = gevent.spawn(waiter.wait, READ)
    gevent.idle()
    assert not waiting.ready()
    ends[1].send(b"x")
    assert waiting.get(timeout=5) == READ
    assert waiter.wait(READ | WRITE) == READ | WRITE
    assert waiter.wait(WRITE) == WRITE


def test_a_wait_that_was_killed_leaves_nothing_behind(ends, waiter):
    """Its watcher wakes nobody any more, and serves the next wait."""
    victim = gevent.spawn(waiter.wait, READ)
    gevent.idle()
    victim.kill()
    ends[1].send(b"x")
    gevent.idle()
    assert gevent.spawn(waiter.wait, READ).get(timeout=5) == READ


def test_a_thread_waits_on_a_hub_of_its_own(ends, waiter):
    """A connection may be used by one after the other."""
    ends[1].send(b"x")
    assert [waiter.wait(READ), offload(waiter.wait, READ), waiter.wait(READ)] == [READ] * 3


def test_a_connection_has_the_same_watchers_for_all_its_waits(pool, target):
    """To make one for each wait costs more than most waits; whoever has the lease uses them."""
    pool(max_size=1)

    def watchers() -> dict[object, object]:
        query(target.sleep(0.001))
        raw = connection.connection
        return dict((raw._waiter if is_psycopg3 else raw.waiter)._watchers)

    first = watchers()
    assert 1 <= len(first) <= 3
    assert map_each(lambda _: watchers(), range(20), limit=5) == [first] * 20
