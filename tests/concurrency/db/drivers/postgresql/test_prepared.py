"""Statements that psycopg prepares serve the next holder, and survive resets and kills."""

from __future__ import annotations

import gevent
import pytest
from django.db import NotSupportedError, connection
from django.db.backends.postgresql.psycopg_any import is_psycopg3

from tests.concurrency.db.conftest import give_back, query


@pytest.mark.skipif(not is_psycopg3, reason="psycopg2 prepares no statements")
def test_statements_that_psycopg_prepares_are_prepared_again_after_a_reset(pool):
    """It knows that they are gone."""
    pool(max_size=1, OPTIONS={"prepare_threshold": 0, "server_side_binding": True})
    session = query("SELECT pg_backend_pid()")
    for _ in range(3):
        assert query("SELECT %s + 1", 1) == 2
        query("SET work_mem = '8MB'")
        give_back()
        assert query("SHOW work_mem") == "4MB"
    assert query("SELECT pg_backend_pid()") == session


PREPARED = {"prepare_threshold": 0, "server_side_binding": True}


@pytest.mark.skipif(not is_psycopg3, reason="psycopg2 prepares no statements")
def test_a_prepared_statement_serves_the_next_holder(pool):
    """It belongs to the session, as a plan that the server has made does."""
    pool(max_size=1, OPTIONS=PREPARED)
    for number in range(3):
        assert query("SELECT %s + 20", number) == number + 20
        give_back()
    found = query("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%%+ 20'")
    assert found == 1


@pytest.mark.skipif(not is_psycopg3, reason="psycopg2 prepares no statements")
def test_a_killed_prepared_statement_can_be_executed_again(pool):
    """By the next holder, on the same session."""
    pool(max_size=1, OPTIONS=PREPARED)
    session = query("SELECT pg_backend_pid()")
    for seconds in (30, 0, 30, 0):
        with gevent.Timeout(0.1 if seconds else 20, False):
            query("SELECT pg_sleep(%s)", seconds)
        give_back()
    assert query("SELECT pg_backend_pid()") == session


@pytest.mark.skipif(not is_psycopg3, reason="psycopg2 prepares no statements")
def test_a_migration_spoils_a_prepared_statement_for_one_holder_at_most(pool):
    """The server refuses it for as long as it lives, so the session is reset."""
    psycopg = pytest.importorskip("psycopg")
    pool(max_size=1, OPTIONS=PREPARED)
    query("CREATE TABLE migrated (value int)")
    try:
        query("INSERT INTO migrated VALUES (7) RETURNING value")
        assert query("SELECT value FROM migrated") == 7
        info, password = connection.connection.info, connection.settings_dict["PASSWORD"]
        with psycopg.connect(info.dsn, password=password, autocommit=True) as other:
            other.execute("ALTER TABLE migrated ALTER value TYPE text")
        give_back()
        with pytest.raises(NotSupportedError, match="cached plan"):
            query("SELECT value FROM migrated")
        give_back()
        assert query("SELECT value FROM migrated") == "7"
    finally:
        query("DROP TABLE migrated")
