"""The databases on which the suite of the pool runs, as far as they differ for it.

A test that is about one of them alone says so with ``@pytest.mark.targets("name")``.
"""

from __future__ import annotations

import contextlib
import gc
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

import gevent
import psycopg2
from django.db import connection
from gevent.event import Event
from psycopg2.extras import NamedTupleCursor
from pymysql.cursors import SSCursor

from concurrency.db.drivers.sqlite.connection import Connection
from tests.mariadb import MariaDB

NAME = "pool-under-test"

_SCRATCH = "CREATE TABLE IF NOT EXISTS scratch (id int)"


class Observer:
    """Asks a server about the sessions of the pool under test."""

    most = 0

    def sessions(self) -> int:
        """Return how many sessions the pool has on the server: each kind is asked in its way."""
        raise NotImplementedError

    @contextmanager
    def watching(self, pause: float = 0.0) -> Iterator[None]:
        """Ask again and again how many sessions there are; ``most`` is the answer."""
        self.most = 0
        enough = Event()

        def watch() -> None:
            while not enough.is_set():
                self.most = max(self.most, self.sessions())
                gevent.sleep(pause)

        watcher = gevent.spawn(watch)
        try:
            yield
        finally:
            enough.set()
            watcher.join()

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Hold what the target's ``endless`` statement waits for."""
        yield


class PostgreSQLObserver(Observer):
    """Looks into ``pg_stat_activity``."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg2.connect(url, application_name="observer")
        self._connection.autocommit = True
        self.ask(_SCRATCH)

    def ask(self, sql: str, *params: object) -> Any:
        with self._connection.cursor(cursor_factory=NamedTupleCursor) as cursor:
            cursor.execute(sql, params)
            return cursor.fetchall() if cursor.description else None

    def sessions(self, condition: str = "true") -> int:
        sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND "
        return self.ask(sql + condition, NAME)[0].count

    def running(self, text: str = "") -> int:
        """Return how many statements that contain a text are executed."""
        return self.sessions(f"state = 'active' AND query LIKE '%%{text}%%'")

    def in_transaction(self) -> int:
        """Return how many sessions have a transaction open and do nothing."""
        return self.sessions("state LIKE 'idle in%%'")

    def terminate(self) -> None:
        """End all sessions of the pool, as a restart of the server would."""
        self.ask(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s",
            NAME,
        )

    def close(self) -> None:
        self._connection.close()


class PostgreSQL:
    """PostgreSQL, with the driver that Django has picked."""

    name = "postgresql"
    is_server = True
    observer = PostgreSQLObserver

    session = "SELECT pg_backend_pid()"
    database = "SELECT current_database()"
    other_database = "postgres"
    open_cursors = "SELECT count(*) FROM pg_cursors"
    change = "SELECT set_config('my.setting', 'mine', false)"
    look = "SELECT nullif(current_setting('my.setting', true), '')"
    endless = "SELECT 1 FROM pg_sleep(30)"

    def __init__(self, url: str) -> None:
        self.where = url
        parts = urlsplit(url)
        self.host, self.port = parts.hostname, parts.port
        self.settings = {
            "ENGINE": "concurrency.db.backends.postgresql",
            "NAME": parts.path[1:],
            "USER": parts.username,
            "PASSWORD": unquote(parts.password or ""),
            "HOST": parts.hostname,
            "PORT": parts.port,
            "OPTIONS": {"application_name": NAME},
        }

    def sleep(self, seconds: float, result: str = "1") -> str:
        """Return a statement that takes some seconds and returns something."""
        return f"SELECT {result} FROM pg_sleep({seconds})"  # noqa: S608 - of the tests themselves

    def session_after(self, seconds: float) -> str:
        """Return a statement that tells its session after some seconds."""
        return self.sleep(seconds, "pg_backend_pid()")

    def unread_rows(self) -> Any:
        """Return a cursor with rows that were not read."""
        cursor = connection.chunked_cursor()
        cursor.execute("SELECT generate_series(1, 100000)")
        cursor.fetchone()
        return cursor


class MariaDBObserver(Observer):
    """Looks into the list of processes, as root."""

    def __init__(self, server: MariaDB) -> None:
        self._connection = server.root()
        self._user = server.user
        self._seen: set[int] = set()  # sessions that have used a database
        self.ask(f"USE {server.databases[0]}")
        self.ask(_SCRATCH)
        self.ask("CREATE TABLE IF NOT EXISTS held (id int PRIMARY KEY)")
        self.ask("INSERT IGNORE INTO held VALUES (1)")

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Hold the row that the target's ``endless`` statement waits for."""
        self.ask("BEGIN")
        self.ask("SELECT id FROM held FOR UPDATE")
        yield
        self.ask("ROLLBACK")

    def ask(self, sql: str, *params: object) -> Any:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, params)
            return cursor.fetchall()

    def sessions(self) -> int:
        # The one that stops statements uses no database: it is counted apart. Nor does one
        # that was killed, while it ends.
        sql = "SELECT id, db, command FROM information_schema.processlist WHERE user = %s"
        rows = self.ask(sql, self._user)
        self._seen.update(number for number, database, _ in rows if database is not None)
        ending = [number in self._seen for number, _, command in rows if command == "Killed"]
        living = [database for _, database, command in rows if command != "Killed"]
        return sum(ending) + sum(database is not None for database in living)

    def _count(self, condition: str) -> int:
        sql = "SELECT count(*) FROM information_schema.processlist WHERE user = %s AND "
        return self.ask(sql + condition, self._user)[0][0]

    def controls(self) -> int:
        """Return how many sessions there are that stop statements."""
        return self._count("db IS NULL AND command NOT IN ('Killed', 'Quit')")

    def kills(self) -> int:
        """Return how often anybody has said KILL."""
        return int(self.ask("SHOW GLOBAL STATUS LIKE 'Com_kill'")[0][1])

    def running(self, text: str = "") -> int:
        """Return how many statements that contain a text are executed.

        A session is said to execute one for a moment longer than its client waits for it.
        """
        return self._count(f"command = 'Query' AND info LIKE '%%{text}%%'")

    def in_transaction(self) -> int:
        """Return how many sessions have a transaction open and do nothing."""
        return self._count(
            "command = 'Sleep' AND id IN "
            "(SELECT trx_mysql_thread_id FROM information_schema.innodb_trx)"
        )

    def terminate(self) -> None:
        """End all sessions of the pool, as a restart of the server would."""
        self.sessions()  # to know them while they end
        self.ask(f"KILL USER '{self._user}'@'%%'")

    def close(self) -> None:
        self._connection.close()


class MariaDBTarget:
    """MariaDB with PyMySQL."""

    name = "mariadb"
    is_server = True
    observer = MariaDBObserver

    session = "SELECT CONNECTION_ID()"
    database = "SELECT DATABASE()"
    other_database: ClassVar[str] = MariaDB.databases[1]
    open_cursors = "SELECT 0"  # it has none that outlive a statement
    change = "SELECT GET_LOCK('mine', 0)"
    look = "SELECT IS_USED_LOCK('mine')"
    # Not SLEEP: all who are in it share one lock of the server, and of many that are killed
    # at once one may stop the server's KILL, and with it everybody, for two seconds.
    endless = "SELECT id FROM held FOR UPDATE"

    def __init__(self, server: MariaDB) -> None:
        self.where = server
        self.host, self.port = server.host, server.port
        self.settings = {
            "ENGINE": "concurrency.db.backends.mysql",
            "NAME": server.databases[0],
            "USER": server.user,
            "PASSWORD": server.password,
            "HOST": server.host,
            "PORT": server.port,
            "OPTIONS": {},
        }

    def sleep(self, seconds: float, result: str = "1") -> str:
        """Return a statement that takes some seconds and returns something."""
        return f"SELECT {result} + 0 * SLEEP({seconds})"

    def session_after(self, seconds: float) -> str:
        """Return a statement that tells its session after some seconds."""
        return self.sleep(seconds, "CONNECTION_ID()")

    def unread_rows(self) -> Any:
        """Return a cursor with rows that were not read."""
        connection.ensure_connection()
        cursor = connection.connection.cursor(SSCursor)
        cursor.execute("SELECT seq FROM seq_1_to_5000")
        cursor.fetchone()
        return cursor


class SQLiteObserver(Observer):
    """Looks at the open files and the connections of this process."""

    def __init__(self, path: Path) -> None:
        self._path = str(path.resolve())
        with contextlib.closing(sqlite3.connect(path)) as made:
            made.execute(_SCRATCH)

    def sessions(self) -> int:
        count = 0
        for file in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):  # the one of this look itself
                count += str(file.readlink()) == self._path
        return count

    def _connections(self) -> list[Connection]:
        found = [each for each in gc.get_objects() if issubclass(type(each), Connection)]
        return [each for each in found if not each.is_closed]

    def running(self, text: str = "") -> int:
        """Return on how many connections anything is executed."""
        return sum(each.is_busy() for each in self._connections())

    def in_transaction(self) -> int:
        """Return how many connections have a transaction open and do nothing."""
        idle = [each for each in self._connections() if not each.is_busy()]
        return sum(each.in_transaction for each in idle)

    def close(self) -> None:
        """There is nothing to be closed."""


class SQLite:
    """SQLite with a database in a file."""

    name = "sqlite"
    observer = SQLiteObserver
    is_server = False

    def __init__(self, path: Path) -> None:
        self.where = path
        self.settings = {
            "ENGINE": "concurrency.db.backends.sqlite3",
            "NAME": str(path),
            "OPTIONS": {},
        }
        self.endless = self.sleep(30)

    def sleep(self, seconds: float, result: str = "1") -> str:
        """Return a statement that takes about some seconds, all of them computing."""
        steps = int(seconds * 5_000_000)
        return (
            f"SELECT {result} FROM (WITH RECURSIVE n(x) AS "  # noqa: S608 - of the tests
            f"(SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT {steps}) SELECT count(*) FROM n)"
        )


Target = PostgreSQL | MariaDBTarget | SQLite
