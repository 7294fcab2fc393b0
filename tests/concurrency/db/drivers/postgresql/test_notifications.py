"""Listeners on PostgreSQL wait on the hub, and do not wake up before they are notified."""

from __future__ import annotations

import select

import gevent
import pytest
from django.db import connection
from django.db.backends.postgresql.psycopg_any import is_psycopg3

from concurrency import map_each
from tests.concurrency.db.conftest import query, statistics
from tests.concurrency.db.drivers.counting import counting
from tests.concurrency.db.drivers.postgresql.work import needs_psycopg3
from tests.helpers import until


def listen() -> list[tuple[str, str]]:
    """Wait for a notification, as the documentation of each driver says."""
    query("LISTEN news")
    raw = connection.connection
    if is_psycopg3:
        return [(note.channel, note.payload) for note in raw.notifies(stop_after=1)]
    while not raw.notifies:
        select.select([raw], [], [])
        raw.poll()
    return [(note.channel, note.payload) for note in raw.notifies]


def is_listening(observer) -> bool:
    return observer.sessions("state = 'idle' AND query ILIKE 'LISTEN%%'") == 1


@pytest.mark.slow
def test_a_listener_sleeps_until_somebody_notifies(pool, observer, target):
    """LISTEN in one greenlet, NOTIFY in another; what the next holder gets does not listen."""
    listener = gevent.spawn(listen)
    until(lambda: is_listening(observer))
    with counting() as turns:
        gevent.sleep(0.25)
    assert turns.switches < 20
    query("NOTIFY news, 'it is late'")
    assert listener.get(timeout=5) == [("news", "it is late")]
    until(lambda: statistics().in_use == 1)  # ours
    pids = map_each(
        lambda _: query("SELECT count(*) FROM pg_listening_channels()"), range(4), limit=4
    )
    assert pids == [0] * 4


def test_a_listener_can_be_killed(pool, observer, target):
    """Its lease comes back, and the session listens no more."""
    pool(max_size=1)
    listener = gevent.spawn(listen)
    until(lambda: is_listening(observer))
    listener.kill(timeout=5)
    assert query("SELECT count(*) FROM pg_listening_channels()") == 0


@needs_psycopg3
def test_a_listener_may_have_a_limit(pool, target):
    """``notifies(timeout=...)`` ends by itself, and loses nothing that has come."""
    query("LISTEN news")
    raw = connection.connection
    assert list(raw.notifies(timeout=0.02)) == []
    query("NOTIFY news, 'one'")
    assert [note.payload for note in raw.notifies(timeout=0)] == ["one"]
