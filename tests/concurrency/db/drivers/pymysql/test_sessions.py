"""What a session of MariaDB keeps, and what the next holder finds of it."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, IntegrityError, OperationalError, connection

from concurrency import gather
from concurrency.db import keep_lease
from tests.concurrency.db.conftest import give_back, query, statistics
from tests.concurrency.db.drivers.pymysql.session import INIT, status

pytestmark = pytest.mark.targets("mariadb")


def test_the_session_is_set_up_once(pool):
    """init_command and isolation level cost their round trips with the connection alone."""
    pool(max_size=1, OPTIONS=INIT)
    assert query("SELECT @greeting") == "hello"
    before = status("Com_set_option")
    for _ in range(3):
        connection.close()
        assert query("SELECT @@tx_isolation") == "REPEATABLE-READ"
    assert status("Com_set_option") == before


def test_another_isolation_level_gets_another_pool(pool):
    """As for a copy of a connection whose options were changed; a wrong one is refused."""
    query()
    for level in ("serializable", "read uncommitted"):
        other = connection.copy()
        other.settings_dict["OPTIONS"]["isolation_level"] = level
        with other.cursor() as cursor:
            cursor.execute("SELECT @@tx_isolation")
            assert cursor.fetchone() == (level.replace(" ", "-").upper(),)
        other.close()
    other = connection.copy()
    other.settings_dict["OPTIONS"]["isolation_level"] = "none at all"
    with pytest.raises(ImproperlyConfigured, match="none at all"):
        other.ensure_connection()


def test_a_lease_costs_no_round_trip(one):
    """The server sees the holder's statements and nothing else, whoever the holder is."""
    query()
    before = status("Questions")
    connection.close()
    # Facts about the server, which Django looks up for each connection, are known.
    assert gather(lambda: (connection.mysql_is_mariadb, query())) == [(True, 1)]
    assert status("Questions") == before + 2


CHANGES = [
    ("SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE", "SELECT @@tx_isolation"),
    ("SET @greeting = 'goodbye'", "SELECT @greeting"),
    ("SET @other = 1", "SELECT @other"),
    ("SET time_zone = '+05:00'", "SELECT @@time_zone"),
    ("SET NAMES latin1", "SELECT @@character_set_client"),
    ("SET sql_mode = ''", "SELECT @@sql_mode"),
    ("SET foreign_key_checks = 0", "SELECT @@foreign_key_checks"),
    ("USE other", "SELECT DATABASE()"),
    ("SELECT GET_LOCK('mine', 0)", "SELECT IS_USED_LOCK('mine')"),
    ("PREPARE mine FROM 'SELECT 1'", "SHOW SESSION STATUS LIKE 'Prepared_stmt_count'"),
    ("LOCK TABLES scratch WRITE", "SELECT COUNT(*) >= 0 FROM scratch"),
    ("SET autocommit = 0", "SELECT @@autocommit"),
    ("SET TRANSACTION READ ONLY", "DELETE FROM scratch"),
    ("/*!40101 SET @other = 1 */", "SELECT @other"),
    ("EXECUTE IMMEDIATE 'SET @other = 1'", "SELECT @other"),
]


@pytest.mark.parametrize(("change", "look"), CHANGES)
def test_what_one_holder_changes_does_not_reach_the_next(pool, target, observer, change, look):
    """The session is as new for the next holder, and is the same one."""
    pool(max_size=1, OPTIONS=INIT)
    session, fresh = query(target.session), query(look)
    query(change)
    give_back()
    assert query(look) == fresh
    assert query("SELECT @greeting") == "hello"
    assert query(target.session) == session


def test_a_temporary_table_does_not_reach_the_next(one):
    """It is gone with the reset."""
    query("CREATE TEMPORARY TABLE mine (id int)")
    give_back()
    with pytest.raises(DatabaseError, match="mine"):
        query("SELECT * FROM mine")


def test_the_arguments_of_a_procedure_do_not_reach_the_next(one):
    """PyMySQL puts them into user variables."""
    query("CREATE PROCEDURE nothing(IN x int) SELECT x")
    try:
        with connection.cursor() as cursor:
            cursor.callproc("nothing", [7])
        assert query("SELECT @_nothing_0") == 7
        give_back()
        assert query("SELECT @_nothing_0") is None
    finally:
        query("DROP PROCEDURE nothing")


def test_a_lock_taken_unseen_is_released_with_keep_lease(one, target, mariadb):
    """What a function of the database locks is free for the next holder."""
    with mariadb.root() as root, root.cursor() as cursor:
        cursor.execute("CREATE FUNCTION main.lock_it() RETURNS int RETURN GET_LOCK('mine', 0)")
    try:
        with keep_lease():
            query("SELECT lock_it()")
            assert query("SELECT IS_USED_LOCK('mine')") == query(target.session)
        give_back()
        assert query("SELECT IS_USED_LOCK('mine')") is None
    finally:
        query("DROP FUNCTION lock_it")


def test_a_transaction_that_a_failing_procedure_has_begun_is_not_handed_on(one, observer):
    """An error does not tell the state of the session, so it is not believed to be clean."""
    body = "BEGIN START TRANSACTION; INSERT INTO scratch VALUES (7); SIGNAL SQLSTATE '45000'; END"
    query(f"CREATE PROCEDURE begin_and_fail() {body}")
    with pytest.raises(OperationalError):
        query("CALL begin_and_fail()")
    give_back()
    assert observer.in_transaction() == 0
    assert query("SELECT COUNT(*) FROM scratch WHERE id = 7") == 0
    query("DROP PROCEDURE begin_and_fail")


def test_a_transaction_begun_by_hand_is_rolled_back(one):
    """The server's own status tells, also after statements that return rows."""
    query("BEGIN")
    query("INSERT INTO scratch VALUES (8)")
    query("SELECT 1")
    give_back()
    assert query("SELECT COUNT(*) FROM scratch WHERE id = 8") == 0


def test_errors_are_djangos(one):
    """An ordinary error costs neither the connection nor a round trip."""
    query("CREATE TABLE uniques (id int PRIMARY KEY)")
    query("INSERT INTO uniques VALUES (1)")
    with pytest.raises(IntegrityError):
        query("INSERT INTO uniques VALUES (1)")
    connection.close()
    assert (statistics().idle, statistics().discarding) == (1, 0)
    query("DROP TABLE uniques")
