"""MariaDB alone: KILL over a connection of its own, what a session keeps, and outages."""

from __future__ import annotations

import random
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import gevent
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, IntegrityError, OperationalError, connection, transaction
from gevent.event import Event
from pymysql.cursors import SSCursor

from concurrency import gather, map_each
from concurrency.db import keep_lease
from concurrency.db.drivers.pymysql.stream import Stream
from tests.concurrency.db.conftest import query, statistics, until
from tests.mariadb import MariaDB

pytestmark = pytest.mark.targets("mariadb")

BIG = "SELECT seq, REPEAT('x', 1000) FROM seq_1_to_1000000"


@pytest.fixture
def one(pool):
    """A pool of one connection, so that the next holder gets the same session."""
    pool(max_size=1)


def give_back() -> None:
    connection.close()
    until(lambda: statistics().in_use + statistics().discarding == 0, "reset")


def status(name, convert=int):
    """Return what the server counts for this session."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW SESSION STATUS LIKE %s", [name])
        return convert(cursor.fetchone()[1])


def stream(sql: str):
    """Return a cursor that leaves its rows on the server."""
    connection.ensure_connection()
    cursor = connection.connection.cursor(SSCursor)
    cursor.execute(sql)
    return cursor


# Killed in the middle


def test_statements_are_stopped_over_one_connection_at_most(pool, target, observer):
    """However many are killed at once; it is counted apart, and closed in the end."""
    pool(max_size=10)
    most, enough = [], Event()

    def descriptors():
        # The server shows a session for a moment longer than it has a socket.
        return sum(1 for _ in Path("/proc/self/fd").iterdir())

    def watch():
        while not enough.is_set():
            most.append((descriptors(), observer.sessions()))
            gevent.sleep(0)

    with observer.holding():
        victims = [gevent.spawn(query, target.endless) for _ in range(10)]
        until(lambda: observer.running() == 10, "running")
        before, opened = observer.kills(), descriptors()
        watcher = gevent.spawn(watch)
        gevent.killall(victims)
        enough.set()
        watcher.join()
    assert observer.kills() >= before + 10
    until(lambda: observer.controls() == 0, "closed")
    assert max(now for now, _ in most) <= opened + 1
    assert max(sessions for _, sessions in most) <= 10
    until(lambda: observer.running() == 0, "stopped")
    assert (statistics().idle, statistics().max_size) == (10, 10)


def test_a_kill_in_the_middle_of_a_result_keeps_the_connection(one, target, observer):
    """What is left of the result is dropped, and the next one gets its own."""
    session = query(target.session)
    killed = 0
    while killed < 5:
        finished = False
        with gevent.Timeout(0.05, False):
            query(BIG)
            finished = True  # on a machine that had no time for the timer
        killed += not finished
        assert query("SELECT 42") == 42
        until(lambda: observer.running("seq_1") == 0, "stopped")
    assert query(target.session) == session


def test_others_run_while_there_is_always_more_to_read():
    """A server that sends faster than its answer is read does not keep the hub to itself."""
    pauses = []
    near, far = socket.socketpair()
    with near, far:
        stream = Stream(near, pauses.append)
        for _ in range(far.send(b"x" * 200_000)):
            assert stream.receive_into(bytearray(1)) == 1
    assert set(pauses) == {0}


def test_a_kill_while_rows_are_streamed_keeps_the_connection(one, target, observer):
    """Unbuffered rows are dropped, too."""
    session = query(target.session)
    with gevent.Timeout(0.05, False):
        cursor = stream(f"{BIG} WHERE seq % 5000 = 0 AND SLEEP(0.01) = 0")
        for _ in cursor:
            pass
    assert query("SELECT 42") == 42
    assert query(target.session) == session
    until(lambda: observer.running("seq_1") == 0, "stopped")


def test_rows_that_nobody_wants_are_not_read(one, target, observer):
    """The statement of a cursor that was left open is stopped, not waited for."""
    session = query(target.session)
    cursor = stream(f"{BIG} WHERE SLEEP(0.01) = 0")
    assert cursor.fetchone() is not None
    give_back()
    assert query(target.session) == session
    until(lambda: observer.running("seq_1") == 0, "stopped")


@pytest.mark.slow
def test_a_result_that_stops_in_the_middle_ends_on_the_server(pool, target, observer, proxy):
    """The connection is given up after the budget; its slot is free when the server is done."""
    pool(max_size=1, HOST=proxy.host, PORT=proxy.port)
    query()
    connection.close()
    victim = gevent.spawn(query, BIG)
    until(lambda: observer.running("seq_1") == 1, "running")
    proxy.deafen()
    victim.kill(timeout=10)
    assert victim.dead
    assert statistics().in_use == 0
    proxy.hear()
    until(lambda: statistics().discarding == 0, "discarded")
    assert query("SELECT 42") == 42
    until(lambda: observer.running("seq_1") == 0 and observer.sessions() == 1, "ended")
    until(lambda: observer.controls() == 0, "closed")


def test_a_kill_while_a_large_statement_is_sent_keeps_the_connection(one, target, observer):
    """Half a statement is sent to its end."""
    session = query(target.session)
    with transaction.atomic():
        with gevent.Timeout(0.001, False):
            query("SELECT LENGTH(%s)", "x" * 15_000_000)
        assert query("SELECT 42") == 42
    assert query(target.session) == session


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_nobody_gets_the_answer_of_somebody_else(pool, observer):
    """Each asks for a number of its own, while a third of all are killed somewhere."""
    pool(max_size=5, timeout=60.0)
    wrong = []

    def ask(number):
        for _ in range(3):
            wanted = random.random()
            answer = query("SELECT %s + 0 * SLEEP(%s)", wanted, random.choice([0, 0, 0.002]))
            if float(answer) != pytest.approx(wanted):
                wrong.append((wanted, answer))

    greenlets = [gevent.spawn(ask, number) for number in range(600)]
    with observer.watching():
        for victim in greenlets[::3]:
            gevent.spawn_later(random.uniform(0, 0.5), victim.kill, block=False)
        gevent.joinall(greenlets, raise_error=True)
    assert wrong == []
    assert observer.most <= 5
    until(lambda: observer.controls() == 0, "closed")


def test_a_read_timeout_of_pymysql_stops_the_statement(pool, target, observer):
    """It closes the connection, as without a pool; the server is told, too."""
    pool(max_size=1, OPTIONS={"read_timeout": 0.05})
    with pytest.raises(OperationalError, match="timed out"):
        query(target.sleep(30))
    give_back()
    until(lambda: observer.running("sleep") == 0, "stopped")
    assert query() == 1


def test_what_encrypts_is_made_once(pool):
    """It takes longer than connecting, and nobody else could do anything meanwhile."""
    query()
    other = connection.copy()
    other.ensure_connection()
    assert other.connection.ctx is connection.connection.ctx
    other.close()


@pytest.fixture
def encrypting(tmp_path, mariadb):
    """Settings for a server that encrypts."""
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
    subprocess.run([*make, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    with MariaDB(files={"--ssl-key": key, "--ssl-cert": certificate}) as server:
        yield {"HOST": server.host, "PORT": server.port}


@pytest.mark.slow
@pytest.mark.openssl
def test_it_is_the_same_over_tls(pool, target, encrypting):
    """Large statements, large results and kills, on an encrypted connection."""
    pool(max_size=1, **encrypting)
    assert status("Ssl_version", str).startswith("TLS")
    session = query(target.session)
    assert query("SELECT LENGTH(%s)", "x" * 10_000_000) == 10_000_000
    assert len(query("SELECT REPEAT('x', 10000000)")) == 10_000_000
    for sql in (target.sleep(30), BIG):
        with gevent.Timeout(0.05, False):
            query(sql)
            pytest.fail("it is meant to be killed")
        assert query("SELECT 42") == 42
    assert query(target.session) == session


# Outages


@contextmanager
def frozen(server):
    server.freeze()
    try:
        yield
    finally:
        server.thaw()


@pytest.mark.slow
def test_a_frozen_server_does_not_freeze_the_hub(pool, target, mariadb, observer):
    """Killed greenlets end within the budget, others run; later the statements are stopped."""
    pool(max_size=4)
    victims = [gevent.spawn(query, target.sleep(30)) for _ in range(4)]
    until(lambda: observer.running("sleep") == 4, "running")
    turns = 0

    def turn():
        nonlocal turns
        while True:
            gevent.sleep(0.01)
            turns += 1

    with frozen(mariadb):
        turning = gevent.spawn(turn)
        gevent.killall(victims, timeout=10)
        turning.kill()
        assert all(victim.dead for victim in victims)
        assert turns > 50
        assert statistics().in_use == 0
    until(lambda: observer.running("sleep") == 0, "stopped")
    until(lambda: statistics().discarding == 0 and observer.controls() == 0, "confirmed")
    assert map_each(lambda _: query(), range(8), limit=None) == [1] * 8
    assert observer.sessions() <= 4


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_a_restarted_server_is_used_at_once(pool, target, mariadb):
    """Who was in the middle gets Django's error; nobody else notices."""
    pool(max_size=4)
    map_each(lambda _: query(target.sleep(0.02)), range(4), limit=4)
    cut = gevent.spawn(query, target.sleep(30))
    gevent.sleep(0.05)
    mariadb.stop()
    with pytest.raises(OperationalError):
        cut.get()
    with pytest.raises(OperationalError):
        query()
    mariadb.start()
    assert map_each(lambda _: query(), range(8), limit=None) == [1] * 8


# Sessions

INIT = {"init_command": "SET @greeting = 'hello'", "isolation_level": "repeatable read"}


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


def test_the_servers_limit_is_known(one):
    """For the check that compares it with the pools."""
    assert connection.connections_allowed() == 200


def test_pymysql_is_mysqldb_with_all_its_modules():
    """An error that is imported as MySQLdb's is the one that is raised."""
    code = (
        "import concurrency.patch, MySQLdb.cursors, MySQLdb.converters, pymysql\n"
        "from MySQLdb.err import OperationalError\n"
        "assert OperationalError is pymysql.OperationalError\n"
        "assert MySQLdb.cursors is pymysql.cursors\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


# What PyMySQL promises


def test_a_new_connection_has_inserted_nothing(one):
    """``insert_id()`` and ``affected_rows()`` are 0 until the first statement."""
    raw = connection.open_raw()
    try:
        assert (raw.insert_id(), raw.affected_rows()) == (0, 0)
    finally:
        raw.close()


def test_a_connection_that_is_given_up_closes_its_file(one):
    """Nobody goes on reading from it."""
    connection.ensure_connection()
    raw = connection.connection
    file = raw._rfile
    raw._force_close()
    assert file.closed
    assert raw._rfile is None
    assert not raw.open


@pytest.mark.parametrize("end", ["close", "_force_close"])
@pytest.mark.filterwarnings("ignore:.*'reconnect' argument:DeprecationWarning")
def test_ping_connects_again_when_it_is_asked_to(one, observer, end):
    """The next holder gets a session that is set up, and there is one."""
    session = query("SELECT CONNECTION_ID()")
    raw = connection.connection
    getattr(raw, end)()
    raw.ping(reconnect=True)
    assert query("SELECT CONNECTION_ID()") != session
    assert query("SELECT @@sql_auto_is_null") == 0
    give_back()
    assert query("SELECT @@tx_isolation") == "READ-COMMITTED"
    until(lambda: observer.sessions() == 1, "one session")


def test_ping_does_not_connect_again_on_its_own(one):
    """Django's ``is_usable()`` asks by it whether a connection is lost."""
    connection.ensure_connection()
    connection.connection._force_close()
    assert not connection.is_usable()
