"""Killed wherever it waits: nothing is lost, doubled, half written or left dirty."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest
from django.db import connection, models, transaction

from concurrency import gather
from concurrency.db.pool import registry
from concurrency.testing import kill_at_every_switch
from tests.concurrency.db.conftest import query, statistics

pytestmark = [pytest.mark.targets("postgresql", "mariadb", "sqlite"), pytest.mark.slow]

ROWS = 300


class Kept(models.Model):
    """A table of the test."""

    batch = models.IntegerField()
    text = models.TextField(default="")

    class Meta:
        app_label = "kill_at_every_switch"


# Through the proxy, which turns on the same hub, every answer is waited for, and the
# kill comes before the server has read the statement. Without it the server has often
# executed it already.
WAYS = [("kill", "proxy"), ("deadline", "proxy"), ("kill", "direct"), ("timeout", "direct")]


@pytest.fixture(params=WAYS, ids="-".join)
def how(request, pool, target) -> str:
    """The way of the interruption, with a pool on the way to its server, if there is one."""
    interruption, way = request.param
    if way == "proxy" and target.is_server:
        proxy = request.getfixturevalue("proxy")
        pool(max_size=4, HOST=proxy.host, PORT=proxy.port)
    return interruption


@pytest.fixture
def at_least(request) -> Callable[[int], int]:
    """How many waits there are at least; on the direct way an answer may be there at once."""
    way = request.node.callspec.params.get("how", ("", "direct"))[1]
    return lambda number: number if way == "proxy" else 0


@pytest.fixture
def table(pool, request) -> Iterator[Callable[[], None]]:
    """The table, empty; gives a check of what holds after each kill."""
    if "how" in request.fixturenames:
        request.getfixturevalue("how")
    with connection.schema_editor() as editor:
        editor.create_model(Kept)
    connection.close()

    def check() -> None:
        """Each batch is there as a whole or not at all, and the pool within its size."""
        sizes = Kept.objects.values_list("batch").annotate(size=models.Count("id"))
        for batch, size in sizes:
            assert size == expected.get(batch, 1), f"batch {batch} has {size} rows"
        for batch in acknowledged:
            assert Kept.objects.filter(batch=batch).exists(), f"batch {batch} is lost"
        numbers = statistics()
        assert numbers.open + numbers.connecting + numbers.discarding <= 4

    expected: dict[int, int] = {}
    acknowledged: list[int] = []
    check.expected = expected
    check.acknowledged = acknowledged
    check.batch = lambda: len(batches.append(0) or batches)
    batches: list[int] = []
    yield check
    connection.close()
    with connection.schema_editor() as editor:
        editor.delete_model(Kept)


def test_a_query(pool, observer, how, at_least):
    """One statement outside any transaction."""
    with observer.watching():
        assert kill_at_every_switch(query, how=how) >= at_least(1)
    assert observer.most <= 4


def test_a_connect(pool, observer, how, at_least):
    """Opening the first connection, which goes on without its waiter."""

    def connect():
        registry.forget("default")
        query()

    with observer.watching():
        assert kill_at_every_switch(connect, how=how) >= at_least(2)
    assert observer.sessions() <= 4


def test_a_row(table, observer, how, at_least):
    """One INSERT in autocommit: there once, or not."""

    def insert():
        batch = table.batch()
        Kept.objects.create(batch=batch)
        table.acknowledged.append(batch)

    assert kill_at_every_switch(insert, table, how=how) >= at_least(1)


def test_a_transaction(table, observer, how, at_least):
    """All its rows or none."""

    def write():
        batch = table.batch()
        table.expected[batch] = 3
        with transaction.atomic():
            for _ in range(3):
                Kept.objects.create(batch=batch)
        table.acknowledged.append(batch)

    assert kill_at_every_switch(write, table, how=how) >= at_least(4)


def test_a_nested_savepoint(table, observer, how, at_least):
    """The outer rows and the inner ones, or none of them."""

    def write():
        batch = table.batch()
        table.expected[batch] = 3
        with transaction.atomic():
            Kept.objects.create(batch=batch)
            with transaction.atomic():
                Kept.objects.create(batch=batch)
            with pytest.raises(ValueError), transaction.atomic():  # noqa: PT011 - the one below
                Kept.objects.create(batch=batch)
                raise ValueError
            Kept.objects.create(batch=batch)
        table.acknowledged.append(batch)

    assert kill_at_every_switch(write, table, how=how) >= at_least(10)


def test_a_bulk_insert(table, observer, how, at_least):
    """Many rows in several statements of one transaction."""

    def write():
        batch = table.batch()
        table.expected[batch] = ROWS
        rows = [Kept(batch=batch, text="x" * 2000) for _ in range(ROWS)]
        Kept.objects.bulk_create(rows, batch_size=ROWS // 3)
        table.acknowledged.append(batch)

    assert kill_at_every_switch(write, table, how=how) >= at_least(4)


def test_many_executions(table, observer, how, at_least):
    """One statement for many rows, which psycopg 3 sends as a pipeline."""
    sql = f"INSERT INTO {Kept._meta.db_table} (batch, text) VALUES (%s, %s)"  # noqa: S608

    def write():
        batch = table.batch()
        table.expected[batch] = 4
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.executemany(sql, [[batch, "x" * 20_000] for _ in range(4)])
        table.acknowledged.append(batch)

    assert kill_at_every_switch(write, table, how=how) >= at_least(3)


def test_an_iterator(table, observer, how, at_least):
    """Rows that come in parts, outside and inside a transaction."""
    table.expected[0] = ROWS
    Kept.objects.bulk_create(Kept(batch=0) for _ in range(ROWS))
    connection.close()

    def read():
        assert sum(1 for _ in Kept.objects.iterator(chunk_size=100)) == ROWS
        with transaction.atomic():
            assert sum(1 for _ in Kept.objects.iterator(chunk_size=100)) == ROWS

    def check():
        table()
        assert query(observer_cursors) == 0

    observer_cursors = (
        "SELECT count(*) FROM pg_cursors WHERE name LIKE '_django%'"
        if connection.vendor == "postgresql"
        else "SELECT 0"
    )
    assert kill_at_every_switch(read, check, how=how) >= at_least(1)


def test_one_that_goes_on_afterwards(table, how, at_least):
    """A greenlet that survives its interruption uses its connection as if nothing were."""

    def survive():
        batch = table.batch()
        table.expected[batch] = 2
        try:
            with transaction.atomic():
                Kept.objects.create(batch=batch)
                with transaction.atomic():
                    Kept.objects.create(batch=batch)
        except BaseException as error:
            assert connection.get_autocommit()
            assert not connection.in_atomic_block
            after = table.batch()
            Kept.objects.create(batch=after)
            table.acknowledged.append(after)
            if isinstance(error, Exception | pytest.fail.Exception):
                raise
        else:
            table.acknowledged.append(batch)

    assert kill_at_every_switch(survive, table, how=how) >= at_least(5)


def test_what_waits_for_a_commit_is_not_done_after_another(table, how, at_least):
    """Not for what was undone, nor for a commit of which nobody knows whether it took place."""
    done: list[int] = []

    def write():
        batch = table.batch()
        try:
            with transaction.atomic():
                Kept.objects.create(batch=batch)
                transaction.on_commit(lambda: done.append(batch))
                with contextlib.suppress(ValueError), transaction.atomic():
                    transaction.on_commit(lambda: done.append(-1))
                    raise ValueError
            with contextlib.suppress(ValueError), transaction.atomic():
                transaction.on_commit(lambda: done.append(-2))
                raise ValueError
        except BaseException as error:
            before = list(done)
            with transaction.atomic():
                Kept.objects.create(batch=table.batch())
            assert done == before
            if isinstance(error, Exception | pytest.fail.Exception):
                raise

    def check():
        table()
        there = set(Kept.objects.values_list("batch", flat=True))
        assert set(done) <= there

    assert kill_at_every_switch(write, check, how=how) >= at_least(6)


def test_an_undone_savepoint_leaves_nothing_to_be_done(table, how, at_least):
    """Also when its rollback was interrupted, and the transaction around it is committed."""
    done: list[int] = []

    def write():
        try:
            with transaction.atomic():
                query("SELECT 1")
                try:
                    with contextlib.suppress(ValueError), transaction.atomic():
                        transaction.on_commit(lambda: done.append(1))
                        raise ValueError
                except BaseException as error:
                    if isinstance(error, Exception | pytest.fail.Exception):
                        raise
        finally:
            assert not done

    assert kill_at_every_switch(write, how=how) >= at_least(5)


def test_a_fan_out(table, observer, how, at_least):
    """A parent that is killed takes its children with it."""

    def write():
        batch = table.batch()
        table.expected[batch] = 2

        def child():
            with transaction.atomic():
                for _ in range(2):
                    Kept.objects.create(batch=batch)

        gather(child, query, query)
        table.acknowledged.append(batch)

    assert kill_at_every_switch(write, table, how=how) >= at_least(1)


def test_a_transaction_that_fails(table, how, at_least):
    """A second interruption, in the middle of the rollback, saves nothing of it."""

    def fail():
        with contextlib.suppress(ValueError), transaction.atomic():
            Kept.objects.create(batch=-1)
            with transaction.atomic():
                Kept.objects.create(batch=-1)
            raise ValueError

    def check():
        assert not Kept.objects.filter(batch=-1).exists()

    assert kill_at_every_switch(fail, check, how=how) >= at_least(6)


def test_an_interruption_that_is_caught_inside_atomic(table, how, at_least):
    """The transaction is not committed with half of what was in it, nor reported as kept."""

    def write():
        batch = table.batch()
        table.expected[batch] = 3
        with transaction.atomic():
            Kept.objects.create(batch=batch)
            try:
                with contextlib.suppress(ValueError), transaction.atomic():
                    Kept.objects.create(batch=batch + 1_000)
                    raise ValueError
                list(Kept.objects.filter(batch=batch).iterator(chunk_size=1))
            except BaseException as error:
                if isinstance(error, Exception | pytest.fail.Exception):
                    raise
            Kept.objects.create(batch=batch)
            Kept.objects.create(batch=batch)
        table.acknowledged.append(batch)

    def check():
        table()
        assert not Kept.objects.filter(batch__gt=1_000).exists()

    assert kill_at_every_switch(write, check, how=how) >= at_least(9)
