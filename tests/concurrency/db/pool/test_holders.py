"""What errors and logs say about who holds a connection."""

from __future__ import annotations

import logging
import re

import gevent
import pytest
from django.db import connection
from gevent.event import Event

from concurrency.context import activity
from concurrency.db.pool import registry
from concurrency.errors import PoolTimeout
from tests.concurrency.db.conftest import query, statistics, warm
from tests.helpers import until


@pytest.fixture
def held(pool):
    """A greenlet with a name, a job and a statement holds the only connection."""

    def start():
        pool(max_size=1, timeout=0.02)
        begun, end = Event(), Event()
        warm()

        def hold():
            activity.set("GET /report/")
            query("SELECT %s::text AS secret_of_the_holder", "p4ssw0rd")
            begun.set()
            end.wait()

        greenlet = gevent.spawn(hold)
        begun.wait()
        ends.append((greenlet, end))

    ends = []
    yield start
    for greenlet, end in ends:
        end.set()
        greenlet.join()


def holder_seen() -> object:
    with pytest.raises(PoolTimeout) as caught:
        query()
    (holder,) = caught.value.holders
    assert str(holder) in str(caught.value)
    return holder


def test_the_holder_is_named_with_its_request_and_statement(held):
    """Request, age and last statement; parameters are nobody's business."""
    held()
    holder = holder_seen()
    assert holder.activity == "GET /report/"
    assert "secret_of_the_holder" in holder.sql
    assert "p4ssw0rd" not in str(holder)
    assert re.match(r"GET /report/ for \d+\.\d s\b", str(holder))
    assert holder.place is None


def test_where_it_was_taken_can_be_told(held, settings_with):
    """TRACK_LEASES adds file and line of the user's code."""
    settings_with(TRACK_LEASES=True)
    held()
    assert holder_seen().place.startswith("conftest.py:")


def test_an_old_lease_is_logged_once(pool, settings_with, caplog):
    """A lease that is held for too long is logged, however often the reaper looks."""
    settings_with(LEASE_WARNING=0.01)
    caplog.set_level(logging.WARNING, "concurrency.db")
    query("SELECT 'held for long'")

    def is_logged() -> bool:
        registry.pools["default"].reap()
        return "held for long" in caplog.text

    until(is_logged)
    for _ in range(3):
        assert is_logged()
        gevent.idle()  # until greenlets that would log have run
    assert caplog.text.count("held for long") == 1
    connection.close()


@pytest.mark.slow
def test_a_log_handler_that_waits_does_not_stop_the_reaper(pool, settings_with):
    """An old lease is logged outside the hub, in which a wait for the handler would raise."""
    settings_with(LEASE_WARNING=0.01)
    texts, log = [], logging.getLogger("concurrency.db")
    handler = logging.Handler()
    handler.emit = lambda record: texts.append(record.getMessage())
    log.addHandler(handler)
    query("SELECT 'held for long'")
    handler.acquire()
    try:
        done = Event()
        gevent.spawn_raw(lambda: query("SELECT 'left behind'") and done.set())
        done.wait()
        until(lambda: statistics().in_use == 1)
        assert texts == []
    finally:
        handler.release()
        until(lambda: any("held for long" in text for text in texts))
        log.removeHandler(handler)
        connection.close()
