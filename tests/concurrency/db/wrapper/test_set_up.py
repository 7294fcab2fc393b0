"""What the set-up of one lease changes in a session is not there for one that sets up less."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gevent
import pytest
from django.db import connection, connections
from django.db.backends.postgresql.psycopg_any import is_psycopg3
from django.db.backends.signals import connection_created

from concurrency import gather, map_each
from tests.concurrency.db.conftest import query, statistics

SESSION = "SELECT pg_backend_pid()"
TIMEOUT = "SHOW statement_timeout"


@contextmanager
def receiving(set_up: Callable[[Any], None]) -> Iterator[None]:
    """Call something with each connection that is leased."""

    def receive(connection: Any, **_: Any) -> None:
        set_up(connection)

    connection_created.connect(receive)
    try:
        yield
    finally:
        connection_created.disconnect(receive)


class Tenant:
    """Sets up the sessions of one greenlet, and not those of others."""

    def __init__(self, sql: str, *params: Any) -> None:
        self.sql, self.params = sql, params
        self.greenlet: Any = None

    def set_up(self, connection: Any) -> None:
        if gevent.getcurrent() is self.greenlet:
            with connection.cursor() as cursor:
                cursor.execute(self.sql, self.params or None)

    def ask(self, sql: str) -> Any:
        self.greenlet = gevent.getcurrent()
        return query(sql)


SETTERS = [
    ("SET statement_timeout = 54321",),
    ("SELECT set_config('statement_timeout', '54321', false)",),
    ("SELECT set_config(%s, %s, false)", "statement_timeout", "54321"),
    ("DO $$ BEGIN SET statement_timeout = 54321; END $$",),
]


@pytest.mark.parametrize("statement", SETTERS)
def test_a_receiver_that_sets_up_some_leases_leaves_nothing_to_others(one, statement):
    """On one connection, in whatever order the leases follow each other."""
    tenant = Tenant(*statement)
    with receiving(tenant.set_up):
        for _ in range(2):
            assert gather(lambda: tenant.ask(TIMEOUT)) == ["54321ms"]
            assert gather(lambda: query(TIMEOUT)) == ["0"]


def test_a_session_that_is_reset_is_the_same_session(one):
    """Nobody pays for a connection when a reset undoes what was set."""
    tenant = Tenant("SET statement_timeout = 54321")
    with receiving(tenant.set_up):
        (before,) = gather(lambda: tenant.ask(SESSION))
        assert gather(lambda: query(SESSION)) == [before]


def test_the_end_of_a_receiver_is_the_end_of_what_it_sets(one):
    """Also for leases to which no receiver is told any more."""
    with receiving(lambda connection: connection.cursor().execute("SET statement_timeout = 9")):
        assert gather(lambda: query(TIMEOUT)) == ["9ms"]
    assert gather(lambda: query(TIMEOUT)) == ["0"]


def test_a_parameter_that_no_reset_forgets_costs_the_connection(one):
    """A tenant's name is not even known as an empty one to the next."""
    tenant = Tenant("SET app.tenant = 'alpha'")
    name = "SELECT current_setting('app.tenant', true)"
    with receiving(tenant.set_up):
        assert gather(lambda: tenant.ask(name)) == ["alpha"]
        assert gather(lambda: query(name)) == [None]
        assert statistics().open == 1


def test_the_same_set_up_for_each_lease_resets_nothing(one, observer):
    """What all of them set is set once more, and that is all that the server sees."""

    def set_up(connection: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 54321")

    seen = "SELECT query FROM pg_stat_activity WHERE application_name = %s"
    with receiving(set_up):
        (before,) = gather(lambda: query(SESSION))
        for _ in range(3):
            connection.ensure_connection()
            last = observer.ask(seen, "pool-under-test")[0].query
            assert last == "SET statement_timeout = 54321"
            connection.close()
        assert query(SESSION) == before


def test_a_set_up_that_fails_halfway_leaves_nothing(one):
    """Neither does one that is killed: nobody knows how far it came."""
    fail = [True]

    def set_up(connection: Any) -> None:
        if fail:
            fail.clear()
            with connection.cursor() as cursor:
                cursor.execute("SET statement_timeout = 54321")
            raise LookupError

    with receiving(set_up):
        with pytest.raises(LookupError):
            query()
        assert query(TIMEOUT) == "0"


@pytest.mark.skipif(not is_psycopg3, reason="a cursor of psycopg 3")
def test_what_a_receiver_does_unseen_is_undone_for_each_lease(one):
    """By a cursor that does not say what it executes."""
    import psycopg

    tenants = []

    def set_up(connection: Any) -> None:
        if tenants:
            psycopg.ClientCursor(connection.connection).execute(tenants.pop())

    with receiving(set_up):
        tenants.append("SET statement_timeout = 54321")
        assert gather(lambda: query(TIMEOUT)) == ["54321ms"]
        tenants.append("SET lock_timeout = 12345")
        assert gather(lambda: query(TIMEOUT)) == ["0"]


def test_a_backend_that_sets_up_some_leases_leaves_nothing_to_others(pool):
    """By ``init_connection_state()``, among many who share few connections."""
    pool(max_size=2, ENGINE="tests.concurrency.db.backends.derived")

    def work(number: int) -> bool:
        if number % 2:
            connections["default"].also = "SET statement_timeout = 54321"
        expected = "54321ms" if number % 2 else "0"
        return bool(query(TIMEOUT) == expected)

    assert all(map_each(work, range(40), limit=8))
    assert statistics().in_use == 0
