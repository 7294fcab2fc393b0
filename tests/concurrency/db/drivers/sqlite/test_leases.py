"""Leases of connections to SQLite come back, and the next holder finds a new session."""

from __future__ import annotations

import sqlite3

import gevent
import pytest
from django.db import OperationalError, close_old_connections, connections

from tests.concurrency.db.drivers.sqlite.lite import (
    ALIAS,
    ENDLESS,
    by_timeout,
    close,
    query,
    statistics,
)
from tests.helpers import until


def test_a_request_ends_with_the_lease(lite):
    """What Django calls at the ends of requests gives the connection back."""
    query()
    assert statistics().in_use == 1
    close_old_connections()
    assert (statistics().in_use, statistics().idle) == (0, 1)


def test_leases_come_back_from_raw_greenlets(lite):
    """Returned, failed or killed: nothing is left in use, and no more are opened than may be."""
    lite(max_size=3, wait=30.0)
    close()

    def work(x: int) -> None:
        query("INSERT INTO t VALUES (%s)", x)
        if x % 3 == 0:
            raise ValueError(x)

    hub = gevent.get_hub()
    silent, hub.handle_error = hub.handle_error, lambda *error: None
    greenlets = [gevent.spawn(work, x) for x in range(300)]
    for greenlet in greenlets[::3]:
        gevent.sleep(0)
        greenlet.kill(block=False)
    gevent.joinall(greenlets)
    hub.handle_error = silent
    until(lambda: statistics().in_use + statistics().discarding == 0, "given back")
    assert statistics().open <= 3
    assert query() == 1


def test_connecting_again_gives_the_first_connection_back(lite):
    """Django forgets the one it had; the pool does not."""
    query()
    connections[ALIAS].connect()
    until(lambda: statistics().discarding == 0, "closed")
    assert (statistics().in_use, statistics().idle) == (1, 0)


def test_without_a_pool_the_hub_turns_all_the_same(lite):
    """``pool: False`` means connections as Django keeps them, with native threads."""
    connections[ALIAS].close()
    connections[ALIAS].settings_dict["OPTIONS"]["pool"] = False
    by_timeout(lambda: query(ENDLESS))
    assert query() == 1
    assert statistics().in_use == 0
    connections[ALIAS].close()


def test_settings_of_a_session_do_not_reach_the_next(lite):
    """A PRAGMA, an attached database, a temporary table or a row factory ends with its holder."""
    lite(max_size=1)
    query("PRAGMA foreign_keys(OFF)")
    query("ATTACH ':memory:' AS beside")
    query("CREATE TEMP TABLE mine (x integer)")
    connections[ALIAS].connection.row_factory = sqlite3.Row
    close()
    until(lambda: statistics().discarding == 0, "closed")
    assert query("PRAGMA foreign_keys") == 1
    query("PRAGMA table_info(t)")  # which asks
    close()
    assert statistics().discarding == 0
    assert query("SELECT count(*) FROM sqlite_temp_master") == 0
    assert query("SELECT count(*) FROM pragma_database_list WHERE name = 'beside'") == 0
    assert connections[ALIAS].connection.row_factory is None


def test_a_function_does_not_reach_the_next(lite):
    """Nor do hooks, as what is registered cannot be asked for; copying out changes nothing."""
    lite(max_size=1)
    query()
    connections[ALIAS].connection.create_function("mine", 0, lambda: 7)
    assert query("SELECT mine()") == 7
    close()
    until(lambda: statistics().discarding == 0, "closed")
    with pytest.raises(OperationalError, match="mine"):
        query("SELECT mine()")
    assert connections[ALIAS].connection.serialize()
    close()
    assert (statistics().discarding, statistics().idle) == (0, 1)
