"""Connections of PyMySQL keep what PyMySQL, MySQLdb and Django promise, also over TLS."""

from __future__ import annotations

import subprocess
import sys

import gevent
import pytest
from django.db import connection

from tests.concurrency.db.conftest import give_back, query
from tests.concurrency.db.drivers.pymysql.session import BIG, status
from tests.helpers import until
from tests.mariadb import MariaDB

pytestmark = pytest.mark.targets("mariadb")


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
