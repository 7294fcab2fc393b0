"""Mixed traffic on one pool, in a process of its own; started by ``bench.soak``.

Each query asks for a random number of its own, so that a result that reaches the
wrong one is seen. Greenlets are killed, run out of time, and have their sessions
ended. Prints what happened as one line of JSON.
"""

from __future__ import annotations

import concurrency.patch  # isort: skip  # noqa: F401

import json
import logging
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import gevent
from django.conf import settings

from bench.soak.dialects import DIALECTS, Dialect
from concurrency import TaskGroup, deadline, map_each, offload
from concurrency.errors import DeadlineExceeded

# Seconds in which the last clients, and then the pool, have to come to an end.
PATIENCE = 30.0


def configure(driver: str, url: str, size: int) -> None:
    """Set Django up with one database."""
    if driver == "psycopg2":
        sys.modules["psycopg"] = None
    import django
    from environ import Env

    dialect = DIALECTS[driver]
    options: dict[str, object] = {"pool": {"max_size": size, "timeout": 5.0}}
    if "postgresql" in dialect.engine:
        options["application_name"] = f"soak-{driver}"
    database = dict(Env.db_url_config(url), ENGINE=dialect.engine, OPTIONS=options)
    settings.configure(DATABASES={"default": database}, USE_TZ=True)
    # Thousands of errors are made on purpose; what matters is counted.
    logging.getLogger("concurrency").setLevel(logging.CRITICAL)
    django.setup()


class Traffic:
    """What the clients do, and what they have seen."""

    def __init__(self, dialect: Dialect, table: str) -> None:
        self._sql = dialect
        self._table = table
        self.numbers = 0
        self.wrong = 0
        self.done: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.unexpected: list[str] = []
        self.batches = 0
        self.acknowledged: list[int] = []

    def actions(self) -> tuple[tuple[Callable[[], object], float], ...]:
        """Return what a client may do next, and how often in relation."""
        return (
            (self.ask_often, 40),
            (self.write, 8),
            (self.be_killed, 8),
            (self.run_out_of_time, 8),
            (self.time_out, 8),
            (self.fan_out, 4),
            (self.use_a_thread, 2),
            (self.read_in_parts, 4),
            (self.change_the_session, 2),
            (self.end_a_session, 0.2),
        )

    def questions(self) -> tuple[tuple[Callable[[], object], float], ...]:
        """Return the same for when only numbers are missing."""
        return ((self.ask_often, 100), (self.be_killed, 3), (self.time_out, 3))

    def query(self, sql: str, *params: object) -> tuple[object, ...]:
        """Run a statement and return its first row."""
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute(sql, params)
            row: tuple[object, ...] = (cursor.fetchone() or ()) if cursor.description else ()
            return row

    def ask(self) -> None:
        """Ask for a number of one's own."""
        number = random.getrandbits(62)
        answer = self.query("SELECT %s, %s", number, "x" * random.choice((0, 10, 3000)))[0]
        self.numbers += 1
        if answer is None or int(str(answer)) != number:
            self.wrong += 1

    def ask_often(self) -> None:
        """Use one lease for several queries, as a request does."""
        for _ in range(20):
            self.ask()

    def write(self) -> None:
        """Write two rows in one transaction."""
        from django.db import transaction

        self.batches += 1
        batch = self.batches
        with transaction.atomic():
            self.query(f"INSERT INTO {self._table} VALUES (%s)", batch)
            self.ask()
            with transaction.atomic():
                self.query(f"INSERT INTO {self._table} VALUES (%s)", batch)
        self.acknowledged.append(batch)

    def be_killed(self) -> None:
        """Kill a greenlet somewhere in the middle."""
        victim = gevent.spawn(self.guarded, random.choice((self.write, self.ask_often, self.nap)))
        gevent.sleep(random.uniform(0, 0.02))
        victim.kill()

    def nap(self) -> None:
        """Have the server do nothing for a while."""
        self.query(self._sql.nap)
        self.ask()

    def run_out_of_time(self) -> None:
        """Let a deadline end statements, and go on with the same connection."""
        try:
            with deadline(random.uniform(0.0005, 0.03)):
                self.write()
                self.nap()
        finally:
            self.ask()

    def time_out(self) -> None:
        """The same with gevent's own Timeout."""
        with gevent.Timeout(random.uniform(0.0005, 0.03), False):
            self.write()
            self.nap()
        self.ask()

    def fan_out(self) -> None:
        """Ask in children, one of which sometimes fails and cancels the others."""
        if random.random() < 0.5:
            map_each(lambda _: self.ask(), range(8), limit=4)
            return
        try:
            with TaskGroup() as group:
                for _ in range(3):
                    group.spawn(self.nap)
                group.spawn(lambda: 1 / 0)
        except* ZeroDivisionError:
            pass

    def use_a_thread(self) -> None:
        """Ask in a native thread."""
        offload(self.ask)

    def read_in_parts(self) -> None:
        """Open a cursor on the server, and leave some of its rows unread."""
        from django.db import connection

        with connection.chunked_cursor() as cursor:
            cursor.execute(self._sql.rows)
            for _ in range(random.randrange(4)):
                cursor.fetchmany(100)
        self.ask()

    def change_the_session(self) -> None:
        """Leave something behind that the next holder must not see."""
        if self._sql.look is None:
            return
        (before,) = self.query(self._sql.look)
        if before:
            self.unexpected.append(f"found a setting of another: {before}")
        self.query(self._sql.change)
        self.ask()

    def end_a_session(self) -> None:
        """End a session of somebody, as a server that is restarted does."""
        if self._sql.others is None:
            return
        for session in self.query(self._sql.others):
            self.query(self._sql.end, session)

    def guarded(self, action: Callable[[], object]) -> None:
        """Do something, and count the errors that have to be expected."""
        from django.db import InterfaceError, OperationalError

        try:
            action()
        except (OperationalError, InterfaceError, DeadlineExceeded) as error:
            self.errors[type(error).__name__] += 1
        except BaseExceptionGroup as group:
            self.errors[type(group.exceptions[0]).__name__] += 1
        except Exception as error:  # noqa: BLE001 - reported at the end
            self.unexpected.append(f"{getattr(action, '__name__', action)}: {error!r}")

    def client(self, goes_on: Callable[[], bool], is_mixed: Callable[[], bool]) -> None:
        """Do one thing after the other, as a worker does requests."""
        from django.db import close_old_connections

        mixed, questions = (
            tuple(zip(*each, strict=True)) for each in (self.actions(), self.questions())
        )
        while goes_on():
            (action,) = random.choices(*(mixed if is_mixed() else questions))
            self.guarded(action)
            close_old_connections()  # as at the end of a request
            self.done[action.__name__] += 1
            if self.errors and random.random() < 0.05:
                gevent.sleep(0.01)

    def rows(self) -> dict[str, object]:
        """Return how many transactions are half there, and how many are missing."""
        from django.db import connection

        (torn,) = self.query(
            f"SELECT count(*) FROM "
            f"(SELECT 1 FROM {self._table} GROUP BY batch HAVING count(*) <> 2) AS t"
        )
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT DISTINCT batch FROM {self._table}")
            there = {row[0] for row in cursor.fetchall()}
        return {"torn": torn, "lost": len(set(self.acknowledged) - there)}


def make_table(traffic: Traffic, name: str) -> None:
    """Make the table, as soon as a server that is just being restarted lets us."""
    from django.db import OperationalError

    end = time.monotonic() + PATIENCE
    while True:
        with suppress(*[OperationalError] * (time.monotonic() < end)):
            traffic.query(f"CREATE TABLE IF NOT EXISTS {name} (batch bigint)")
            return
        gevent.sleep(0.05)


def settle() -> dict[str, int]:
    """Wait until the pool is whole, and return its numbers."""
    from dataclasses import asdict

    from concurrency.db import pool_statistics

    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        numbers = pool_statistics()["default"]
        if not numbers.in_use + numbers.connecting + numbers.discarding + numbers.waiting:
            break
        gevent.sleep(0.05)
    return asdict(numbers)


def main(driver: str, seconds: float, numbers: int, clients: int, size: int) -> None:
    """Run the traffic and print what happened."""
    configure(driver, os.environ["DATABASE_URL"], size)
    # Both psycopgs use one server.
    traffic = Traffic(DIALECTS[driver], f"soak_{driver}")
    make_table(traffic, f"soak_{driver}")
    end = time.monotonic() + seconds

    def is_mixed() -> bool:
        return time.monotonic() < end

    def goes_on() -> bool:
        more = traffic.numbers < numbers and time.monotonic() < end + 3 * seconds
        return is_mixed() or more

    running = [gevent.spawn(traffic.client, goes_on, is_mixed) for _ in range(clients)]
    while goes_on():
        gevent.sleep(0.1)
    gevent.joinall(running, timeout=PATIENCE)
    stuck = sum(not greenlet.dead for greenlet in running)
    from django.db import connection

    connection.close()
    pool = settle()
    gevent.sleep(0.5)  # for the end of sessions that a client has ended last
    traffic.ask()
    result = {
        "wanted": numbers,
        "numbers": traffic.numbers,
        "wrong": traffic.wrong,
        "stuck": stuck,
        **traffic.rows(),
        "pool": pool,
        "done": dict(traffic.done),
        "errors": dict(traffic.errors),
        "unexpected": sorted(set(traffic.unexpected))[:5],
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), *map(int, sys.argv[3:6]))
