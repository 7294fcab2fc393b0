"""Session state stays with its holder and never reaches the next one."""

from __future__ import annotations

import gevent
import pytest
from django.db import connection, transaction
from django.db.backends.postgresql.psycopg_any import IsolationLevel, is_psycopg3
from django.db.backends.signals import connection_created
from psycopg2.extras import NamedTupleCursor

from concurrency import gather
from tests.concurrency.db.conftest import give_back, query, statistics
from tests.helpers import until

CHANGES = [
    ("SET search_path TO elsewhere", "SHOW search_path", '"$user", public'),
    ("SET statement_timeout = 12345", "SHOW statement_timeout", "0"),
    ("/* a comment */ SET work_mem = '8MB'", "SHOW work_mem", "4MB"),
    ("SELECT set_config('work_mem', '8MB', false)", "SHOW work_mem", "4MB"),
    ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "SHOW transaction_read_only", "off"),
    (
        "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE",
        "SHOW transaction_isolation",
        "read committed",
    ),
    ("SET TIME ZONE 'Asia/Tokyo'", "SHOW TIME ZONE", "UTC"),
    ("DO $$ BEGIN EXECUTE 'SET work_mem = ''8MB'''; END $$", "SHOW work_mem", "4MB"),
    ("CREATE TABLE pg_temp.mine (id int)", "SELECT to_regclass('mine')::text", None),
    ("CREATE TEMPORARY TABLE mine (id int)", "SELECT to_regclass('mine')::text", None),
    ("SELECT pg_advisory_lock(7)", "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'", 0),
    ("LISTEN news", "SELECT count(*) FROM pg_listening_channels()", 0),
    ("PREPARE mine AS SELECT 1", "SELECT count(*) FROM pg_prepared_statements", 0),
    ("DECLARE mine CURSOR WITH HOLD FOR SELECT 1", "SELECT count(*) FROM pg_cursors", 0),
]


@pytest.mark.parametrize(("change", "look", "fresh"), CHANGES)
def test_what_one_holder_changes_does_not_reach_the_next(one, change, look, fresh):
    """The session is as new for the next holder, and is the same one."""
    session = query("SELECT pg_backend_pid()")
    query(change)
    give_back()
    assert query(look) == fresh
    assert query("SELECT pg_backend_pid()") == session
    assert query("SHOW TIME ZONE") == "UTC"


@pytest.mark.parametrize(
    "change",
    [
        "SET my.tenant = 'mine'",
        "SET SESSION my.tenant TO DEFAULT",
        "SELECT set_config('my.tenant', 'mine', false)",
        "SELECT set_config('my' || '.tenant', 'mine', false)",
    ],
)
def test_a_parameter_that_a_holder_makes_is_unknown_to_the_next(one, change):
    """No reset makes it NULL again, which policies of row-level security tell from ''."""
    query(change)
    assert query("SELECT current_setting('my.tenant', true)") is not None
    give_back()
    assert query("SELECT current_setting('my.tenant', true)") is None


@pytest.mark.parametrize("change", [change for change, _, _ in CHANGES])
def test_who_has_changed_the_session_keeps_it_while_waiting(pool, change):
    """Code that relies on its session does not notice the pool."""
    session = query("SELECT pg_backend_pid()")
    query(change)
    assert gather(lambda: query("SELECT pg_backend_pid()")) != [session]
    assert query("SELECT pg_backend_pid()") == session
    give_back()


@pytest.mark.parametrize(
    "change",
    [
        "SET LOCAL work_mem = '8MB'",
        "SET TRANSACTION READ ONLY",
        "SET CONSTRAINTS ALL DEFERRED",
        "SELECT set_config('my.tenant', 'it''s, mine', true)",
    ],
)
def test_what_ends_with_the_transaction_needs_no_reset(one, change):
    """The connection goes straight to the next holder."""
    with transaction.atomic():
        query(change)
    connection.close()
    assert statistics().discarding == 0
    assert statistics().idle == 1


def test_a_holder_that_changed_nothing_costs_no_round_trip(one, observer):
    """The last statement that the server saw is the holder's own."""
    query("SELECT 'the last one'")
    connection.close()
    query_text = "SELECT query FROM pg_stat_activity WHERE application_name = %s"
    assert observer.ask(query_text, "pool-under-test")[0].query == "SELECT 'the last one'"
    connection.ensure_connection()
    assert observer.ask(query_text, "pool-under-test")[0].query == "SELECT 'the last one'"


def test_what_connection_created_sets_is_part_of_the_session(one):
    """Set-up by the signal is neither reset nor a reason to keep the lease."""

    def set_up(connection, **_):
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 54321")

    connection_created.connect(set_up)
    try:
        for _ in range(2):
            assert query("SHOW statement_timeout") == "54321ms"
            assert gather(lambda: query("SELECT 1")) == [1]
            connection.close()
            assert statistics().discarding == 0
        query("SET statement_timeout = 0")
        give_back()
        assert query("SHOW statement_timeout") == "54321ms"
    finally:
        connection_created.disconnect(set_up)


def by_read_only(raw):
    if is_psycopg3:
        raw.read_only = True
    else:
        raw.set_session(readonly=True)


def by_isolation_level(raw):
    raw.isolation_level = IsolationLevel.SERIALIZABLE


def by_deferrable(raw):
    if is_psycopg3:
        raw.set_deferrable(True)
    else:
        raw.set_session(deferrable=True)


def by_kind_of_cursor(raw):
    if is_psycopg3:
        raw.row_factory = lambda cursor: list
    else:
        raw.cursor_factory = NamedTupleCursor


def by_something_unseen(raw):
    if is_psycopg3:
        raw.prepare_threshold = 1
    else:
        raw.set_client_encoding("LATIN1")


@pytest.mark.parametrize(
    "change",
    [by_read_only, by_isolation_level, by_deferrable, by_kind_of_cursor, by_something_unseen],
)
def test_an_attribute_of_the_driver_does_not_reach_the_next(one, change):
    """A connection whose driver was told to do things differently is closed."""
    session = query("SELECT pg_backend_pid()")
    change(connection.connection)
    give_back()
    with transaction.atomic():
        assert query("SELECT pg_backend_pid()") != session
        assert query("SHOW transaction_read_only") == "off"
        assert query("SHOW transaction_isolation") == "read committed"


def test_an_attribute_that_was_put_back_is_as_it_was(one):
    """The next holder gets the same session."""
    session, raw = query("SELECT pg_backend_pid()"), connection.connection
    before = raw.isolation_level
    by_isolation_level(raw)
    raw.isolation_level = before
    give_back()
    assert query("SELECT pg_backend_pid()") == session


def test_an_attribute_that_connection_created_sets_is_part_of_the_session(one):
    """It is no reason to close the connection."""

    def set_up(connection, **_):
        by_isolation_level(connection.connection)

    connection_created.connect(set_up)
    try:
        session = query("SELECT pg_backend_pid()")
        give_back()
        assert query("SELECT pg_backend_pid()") == session
    finally:
        connection_created.disconnect(set_up)


def test_another_isolation_level_gets_another_pool(pool):
    """As for a copy of a connection whose options were changed."""
    assert query("SHOW transaction_isolation") == "read committed"
    other = connection.copy()
    other.settings_dict["OPTIONS"]["isolation_level"] = IsolationLevel.SERIALIZABLE
    other.set_autocommit(False)
    with other.cursor() as cursor:
        cursor.execute("SHOW transaction_isolation")
        assert cursor.fetchone() == ("serializable",)
    other.rollback()
    other.close()


def test_a_role_that_options_name_is_taken_again(pool):
    """Who gives it up does so for itself."""
    user = query("SELECT current_user")
    pool(max_size=1, OPTIONS={"assume_role": user})
    query("RESET ROLE")
    assert query("SHOW role") == "none"
    give_back()
    assert query("SHOW role") == user


def test_always_resets_what_functions_did_unseen(pool):
    """reset='always' is for changes that no text shows."""
    body = "SELECT set_config('my.setting', 'mine', false)"
    query(f"CREATE FUNCTION unseen() RETURNS text LANGUAGE sql AS $$ {body} $$")
    pool(max_size=1, reset="always")
    query("SELECT unseen()")
    give_back()
    assert query("SELECT current_setting('my.setting', true)") in ("", None)
    give_back()
    query("DROP FUNCTION unseen()")


def test_the_transaction_of_a_killed_holder_does_not_reach_the_next(one, observer):
    """Neither an open transaction nor a setting of a killed holder is left in the session."""

    def victim():
        with transaction.atomic():
            query("SET search_path TO elsewhere")
            query("SELECT pg_sleep(30)")

    query()
    connection.close()
    greenlet = gevent.spawn(victim)
    until(lambda: observer.running("sleep") == 1, "running")
    greenlet.kill()
    until(lambda: statistics().in_use + statistics().discarding == 0)
    assert query("SHOW search_path") == '"$user", public'
    assert not connection.in_atomic_block
