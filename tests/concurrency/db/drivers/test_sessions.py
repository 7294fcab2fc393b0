"""Which statements change the session is recognised from their text."""

from __future__ import annotations

import pytest

from concurrency.db.drivers.sessions import changes_mysql, changes_postgresql


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "UPDATE t SET a = 1",
        "INSERT INTO t (a) VALUES (%s)",
        "SELECT * FROM settings WHERE reset = 1",
        "SELECT pg_advisory_xact_lock(1)",
        "CREATE TABLE temperatures (id int)",
        "SAVEPOINT s",
    ],
)
def test_ordinary_statements_are_no_change(sql):
    """No reset for what leaves the session as it was."""
    assert not changes_postgresql(sql)
    assert not changes_mysql(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SET NAMES utf8",
        "/*!40101 SET NAMES utf8 */",
        "SET TRANSACTION READ ONLY",
        "CALL procedure(@x)",
        "SELECT @`x y` := 1",
        "EXECUTE IMMEDIATE 'SET @x = 1'",
        "FLUSH TABLES WITH READ LOCK",
        "set @x = 1",
        "SELECT @x := 1",
        "SELECT 1 INTO @x",
        "SELECT GET_LOCK('a', 1)",
        "CREATE TEMPORARY TABLE t (id int)",
        "LOCK TABLES t WRITE",
        "USE other",
        "SELECT 1; SET SESSION sql_mode = ''",
    ],
)
def test_changes_of_a_mysql_session_are_recognised(sql):
    """User variables, locks, temporary tables and settings bind the session."""
    assert changes_mysql(sql)
