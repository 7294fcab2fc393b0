"""What waits, waits on the hub: without waking up, also where no statement is waited for."""

from __future__ import annotations

import gc
import io
import os
import select
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext

import gevent
import greenlet
import pytest
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import OperationalError, connection, transaction
from django.db.backends.postgresql.psycopg_any import is_psycopg3
from gevent.hub import get_hub

from concurrency import map_each
from concurrency.db.pool import registry
from tests.concurrency.db.conftest import query, statistics, until

needs_psycopg3 = pytest.mark.skipif(not is_psycopg3, reason="psycopg 3 alone has it here")


class Turns:
    """How often greenlets were switched, and how often the loop went round."""

    switches = 0
    iterations = 0

    def switched(self, event: str, greenlets: object) -> None:
        self.switches += 1

    def went_round(self) -> None:
        self.iterations += 1


@contextmanager
def counting() -> Iterator[Turns]:
    """Count what happens in the process during the block."""
    turns = Turns()
    watcher = get_hub().loop.prepare()
    watcher.start(turns.went_round)
    before = greenlet.settrace(turns.switched)
    try:
        yield turns
    finally:
        greenlet.settrace(before)
        watcher.close()


def in_greenlets(number: int, fn) -> list[gevent.Greenlet]:
    return [gevent.spawn(fn) for _ in range(number)]


@pytest.mark.slow
@pytest.mark.targets("postgresql", "mariadb")
def test_nothing_wakes_up_while_statements_run(pool, observer, target):
    """Fifty greenlets wait for the server: neither they nor the loop do anything meanwhile."""
    pool(max_size=50)
    waiting = in_greenlets(50, lambda: query(target.sleep(30)))
    until(lambda: observer.running("30") == 50)
    with counting() as turns:
        gevent.sleep(0.25)
    gevent.killall(waiting)
    # The sleep itself and, once a second, a look for dead owners. Woken ten times a
    # second, as psycopg does it, they would be switched at least two hundred times.
    assert turns.switches < 20
    assert turns.iterations < 20
    # MariaDB may need seconds to end fifty SLEEPs.
    until(lambda: observer.running("30") + statistics().discarding == 0, "stopped", 15.0)


@pytest.fixture
def take_low_descriptors():
    """Have what is opened from now on a descriptor above 1,023, where select() of C ends."""
    opened = []

    def take():
        gc.collect()  # what it closes would be low and free
        opened.append(os.open(os.devnull, os.O_RDONLY))
        while opened[-1] < 1100:
            opened.append(os.dup(opened[0]))

    yield take
    for descriptor in opened:
        os.close(descriptor)


@pytest.mark.targets("postgresql", "mariadb")
def test_descriptors_above_a_thousand_are_no_limit(take_low_descriptors, pool, observer, target):
    """To connect, to wait, to be killed and to cancel: nothing calls select()."""
    pool(max_size=2)
    take_low_descriptors()
    killed = gevent.spawn(query, target.sleep(30))
    until(lambda: observer.running("30") == 1)
    connection.ensure_connection()
    assert registry.pools["default"]._driver.fileno(connection.connection) > 1023
    killed.kill(timeout=5)
    assert observer.running("30") == 0
    assert map_each(lambda n: query("SELECT %s", n), range(10), limit=10) == list(range(10))


def listen() -> list[tuple[str, str]]:
    """Wait for a notification, as the documentation of each driver says."""
    query("LISTEN news")
    raw = connection.connection
    if is_psycopg3:
        return [(note.channel, note.payload) for note in raw.notifies(stop_after=1)]
    while not raw.notifies:
        select.select([raw], [], [])
        raw.poll()
    return [(note.channel, note.payload) for note in raw.notifies]


def is_listening(observer) -> bool:
    return observer.sessions("state = 'idle' AND query ILIKE 'LISTEN%%'") == 1


@pytest.mark.slow
def test_a_listener_sleeps_until_somebody_notifies(pool, observer, target):
    """LISTEN in one greenlet, NOTIFY in another; what the next holder gets does not listen."""
    listener = gevent.spawn(listen)
    until(lambda: is_listening(observer))
    with counting() as turns:
        gevent.sleep(0.25)
    assert turns.switches < 20
    query("NOTIFY news, 'it is late'")
    assert listener.get(timeout=5) == [("news", "it is late")]
    until(lambda: statistics().in_use == 1)  # ours
    pids = map_each(
        lambda _: query("SELECT count(*) FROM pg_listening_channels()"), range(4), limit=4
    )
    assert pids == [0] * 4


def test_a_listener_can_be_killed(pool, observer, target):
    """Its lease comes back, and the session listens no more."""
    pool(max_size=1)
    listener = gevent.spawn(listen)
    until(lambda: is_listening(observer))
    listener.kill(timeout=5)
    assert query("SELECT count(*) FROM pg_listening_channels()") == 0


@needs_psycopg3
def test_a_listener_may_have_a_limit(pool, target):
    """``notifies(timeout=...)`` ends by itself, and loses nothing that has come."""
    query("LISTEN news")
    raw = connection.connection
    assert list(raw.notifies(timeout=0.02)) == []
    query("NOTIFY news, 'one'")
    assert [note.payload for note in raw.notifies(timeout=0)] == ["one"]


# COPY


def copy_in(rows: Iterable[int]) -> None:
    """Send rows to the server."""
    with connection.cursor() as cursor, cursor.copy("COPY scratch (id) FROM STDIN") as copy:
        for row in rows:
            copy.write_row([row])


def copy_out(sql: str) -> list[int]:
    """Have a query's rows copied to here."""
    with connection.cursor() as cursor, cursor.copy(f"COPY ({sql}) TO STDOUT") as copy:
        return [int(row) for (row,) in copy.rows()]


@pytest.fixture
def scratch(observer):
    """An empty table of numbers."""
    observer.ask("TRUNCATE scratch")
    yield
    observer.ask("TRUNCATE scratch")


@needs_psycopg3
def test_copy_works_in_many_greenlets(pool, scratch, target):
    """Each sends and gets its own rows, and the leases come back."""

    def there_and_back(number: int) -> bool:
        rows = range(number * 1000, number * 1000 + 1000)
        copy_in(rows)
        sql = f"SELECT id FROM scratch WHERE id / 1000 = {number} ORDER BY id"  # noqa: S608
        return copy_out(sql) == list(rows)

    assert map_each(there_and_back, range(8), limit=8) == [True] * 8
    assert statistics().in_use == 0


def send_without_end() -> None:
    def rows() -> Iterator[int]:
        yield from range(1000)
        gevent.sleep(30)

    copy_in(rows())


def get_without_end() -> None:
    copy_out("SELECT id FROM generate_series(1, 3) id, pg_sleep(30)")


@needs_psycopg3
@pytest.mark.parametrize("copy", [send_without_end, get_without_end])
def test_a_copy_can_be_killed(pool, observer, scratch, copy, target):
    """Nothing of it stays, nothing of it runs, and the next query is served."""
    pool(max_size=1)
    killed = gevent.spawn(copy)
    until(lambda: observer.running("COPY") == 1)
    killed.kill(timeout=5)
    assert query("SELECT count(*) FROM scratch") == 0
    assert observer.running("COPY") == 0


@pytest.mark.skipif(is_psycopg3, reason="psycopg 3 can")
def test_psycopg2_says_that_it_cannot_copy(pool, scratch, target):
    """Not beside a wait callback, says the driver; its connection stays usable."""
    refused = pytest.raises(connection.Database.ProgrammingError, match="asynchronous callback")
    with refused, connection.cursor() as cursor:
        cursor.copy_expert("COPY scratch (id) FROM STDIN", io.StringIO("1\n"))
    assert query("SELECT 42") == 42


# Cursors on the server


def test_iterators_of_many_greenlets_do_not_mix(pool, target):
    """Each fetches from its own cursor, batch by batch."""
    call_command("migrate", verbosity=0)
    all_of_them = list(ContentType.objects.order_by("pk"))

    def iterate(descending: bool) -> bool:
        rows = []
        for row in ContentType.objects.order_by("-pk" if descending else "pk").iterator(1):
            rows.append(row)
            gevent.sleep(0)
        return rows == (all_of_them[::-1] if descending else all_of_them)

    assert map_each(iterate, [False, True] * 4, limit=8) == [True] * 8
    until(lambda: statistics().in_use == 1)


def is_asleep(observer) -> bool:
    return observer.sessions("wait_event = 'PgSleep'") == 1


@pytest.mark.parametrize("in_transaction", [False, True])
def test_a_cursor_on_the_server_can_be_killed(pool, observer, in_transaction, target):
    """Declared or in the middle of a fetch: the next holder finds no cursor, no transaction."""
    pool(max_size=1)
    sql = "SELECT pg_sleep(CASE WHEN i > 5 THEN 30 ELSE 0 END) FROM generate_series(1, 9) i"

    def fetch() -> None:
        begun = transaction.atomic() if in_transaction else nullcontext()
        with begun, connection.chunked_cursor() as cursor:
            cursor.execute(sql)
            for _ in range(9):
                cursor.fetchmany(1)

    killed = gevent.spawn(fetch)
    until(lambda: is_asleep(observer))
    killed.kill(timeout=5)
    assert query("SELECT count(*) FROM pg_cursors") == 0
    assert observer.running("sleep") == observer.in_transaction() == 0


# Pipelines


@needs_psycopg3
def test_pipelines_of_many_greenlets_do_not_mix(pool, target):
    """Statements are sent without waiting for each other, answers come to who asked."""

    def ask(number: int) -> list[int]:
        connection.ensure_connection()
        with connection.connection.pipeline():
            cursors = [
                connection.connection.execute("SELECT %s::int", [number * 100 + i])
                for i in range(50)
            ]
            return [cursor.fetchone()[0] for cursor in cursors]

    found = map_each(ask, range(8), limit=8)
    assert found == [[number * 100 + i for i in range(50)] for number in range(8)]
    assert statistics().in_use == 0


def pipeline_that_waits() -> None:
    """Wait for the last of three long statements, each in a transaction of its own."""
    raw = connection.connection
    with raw.pipeline() as pipeline:
        for _ in range(3):
            last = raw.execute("SELECT pg_sleep(30)")
            pipeline._enqueue_sync()
        last.fetchone()


def pipeline_that_sleeps() -> None:
    """Do something else while the statements run."""
    raw = connection.connection
    with raw.pipeline() as pipeline:
        for _ in range(3):
            raw.execute("SELECT pg_sleep(30)")
            pipeline._enqueue_sync()
        raw.wait(pipeline._communicate_gen())
        gevent.sleep(30)


def executemany() -> None:
    """Let psycopg make the pipeline."""
    with connection.cursor() as cursor:
        cursor.executemany("SELECT pg_sleep(%s)", [[30], [30], [30]])


@needs_psycopg3
@pytest.mark.parametrize("work", [pipeline_that_waits, pipeline_that_sleeps, executemany])
def test_a_pipeline_can_be_killed(pool, observer, work, target):
    """What was sent is stopped at once, and the next holder finds nothing of it."""
    pool(max_size=1)

    def work_and_leave() -> None:
        connection.ensure_connection()
        work()

    session = query(target.session)
    connection.close()
    killed = gevent.spawn(work_and_leave)
    until(lambda: is_asleep(observer))
    killed.kill(timeout=5)
    assert observer.running("sleep") == 0
    assert query("SELECT 42") == 42
    assert query(target.session) == session


# A server that goes away


def cursor_on_the_server() -> None:
    with transaction.atomic(), connection.chunked_cursor() as cursor:
        cursor.execute("SELECT pg_sleep(30)")
        cursor.fetchone()


WORK = [cursor_on_the_server]
if is_psycopg3:
    WORK += [pipeline_that_waits, pipeline_that_sleeps, executemany, get_without_end]


@pytest.mark.parametrize("work", WORK)
def test_the_server_may_go_away_whatever_is_waited_for(pool, observer, work, target):
    """An error: libpq closes its socket by itself, and to watch a closed one ends the process."""
    pool(max_size=1)

    def work_and_catch() -> str | None:
        connection.ensure_connection()
        try:
            with connection.wrap_database_errors:
                work()
        except OperationalError as error:
            return str(error)

    lost = gevent.spawn(work_and_catch)
    until(lambda: is_asleep(observer))
    observer.terminate()
    if work is pipeline_that_sleeps:  # and is not told
        lost.kill(timeout=5)
    else:
        assert "server closed the connection" in lost.get(timeout=5) or "terminating" in lost.value
    assert query("SELECT 42") == 42
