"""Greenlets of a test share its connection, in turns, and see its rows."""

from __future__ import annotations

import asyncio
import threading
import warnings
from unittest import mock

import gevent
import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import DatabaseError, OperationalError, connection, connections, transaction
from django.test import TestCase, TransactionTestCase, override_settings
from gevent.event import Event

from concurrency import TaskGroup, deadline, gather, joinall, map_each, offload, spawn
from concurrency.db import pool_statistics
from concurrency.db.wrapper import wrapper
from concurrency.errors import DeadlineExceeded, FanOutInAtomicBlock
from concurrency.testing import SharedConnectionsMixin, shared_connections
from tests.concurrency.db.conftest import query
from tests.helpers import until


def rows() -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM shared ORDER BY id")
        return [row[0] for row in cursor.fetchall()]


def insert(number: int) -> None:
    query("INSERT INTO shared VALUES (%s)", number)


class Shared(SharedConnectionsMixin, TestCase):
    """A test case whose table no other transaction can see."""

    @classmethod
    def setUpTestData(cls):
        query("CREATE TABLE shared (id int PRIMARY KEY)")
        insert(1)

    def setUp(self):
        insert(2)


def by_group():
    with TaskGroup() as group:
        task = group.spawn(rows)
    return task.result()


def by_thread():
    seen = []
    thread = threading.Thread(target=lambda: seen.extend(rows()))
    thread.start()
    thread.join()
    return seen


VERBS = {
    "gather": lambda: gather(rows)[0],
    "map_each": lambda: map_each(lambda _: rows(), [0], limit=1)[0],
    "TaskGroup": by_group,
    "spawn": lambda: joinall([spawn(rows)])[0],
    "offload": lambda: offload(rows),
    "raw spawn": lambda: gevent.spawn(rows).get(),
    "thread": by_thread,
    "coroutine": lambda: async_to_sync(sync_to_async(rows))(),
    "thread of a coroutine": lambda: async_to_sync(asyncio.to_thread)(rows),
}


class TestSeeing(Shared):
    def test_every_verb_sees_the_rows_of_the_test(self):
        """Whatever started the greenlet, it reads what the test has written."""
        for name, verb in VERBS.items():
            with self.subTest(name):
                assert verb() == [1, 2]

    def test_the_test_sees_the_rows_of_its_children(self):
        """Also of many, which write at the same time."""
        map_each(insert, range(10, 40), limit=None)
        assert rows() == [1, 2, *range(10, 40)]

    def test_nothing_is_leased_for_it(self):
        """The pool has lent the test's connection and no other."""
        map_each(insert, range(10, 20), limit=None)
        assert pool_statistics()["default"].in_use == 1

    def test_what_children_write_is_gone_after_the_test(self):
        """A test finds the rows of its class and of its set-up, and no other."""
        assert gather(rows) == [[1, 2]]
        gather(lambda: insert(3))

    def test_what_children_write_is_gone_after_the_test_again(self):
        """The same again, as one of the two runs after the other."""
        self.test_what_children_write_is_gone_after_the_test()

    def test_fan_out_is_no_fan_out_in_atomic(self):
        """The test's own transaction is not one that the code under test has begun."""
        with warnings.catch_warnings(), self.settings(CONCURRENCY={"FAN_OUT_IN_ATOMIC": "raise"}):
            assert gather(rows) == [[1, 2]]
            assert VERBS["thread of a coroutine"]() == [1, 2]
            for name in ("gather", "thread of a coroutine"):
                with pytest.raises(FanOutInAtomicBlock), transaction.atomic():
                    VERBS[name]()

    def test_a_cursor_on_the_server(self):
        """iterator() reads in parts, between which others have their turns."""
        map_each(insert, range(10, 20), limit=None)

        def read(first):
            with connection.chunked_cursor() as cursor:
                cursor.execute("SELECT id FROM shared ORDER BY id")
                found = []
                while part := cursor.fetchmany(3):
                    found += [row[0] for row in part]
                    insert(first + len(found))
                    gevent.sleep(0)
                return found

        for found in map_each(read, [100, 200], limit=2):
            assert found == [1, 2, *range(10, 20)]

    def test_session_state_is_reset_after_the_test(self):
        """What a child sets concerns the connection's next holder no more than usually."""
        gather(lambda: query("SET statement_timeout = '7s'"))
        assert query("SHOW statement_timeout") == "7s"
        assert connection.leasing.connection.tainted


class TestTransactions(Shared):
    def test_an_error_outside_atomic_harms_nobody(self):
        """As where each has a connection: the statement alone is undone."""

        def fail():
            with pytest.raises(DatabaseError):
                insert(1)
            insert(3)
            return rows()

        assert gather(fail) == [[1, 2, 3]]
        assert rows() == [1, 2, 3]

    def test_an_outermost_atomic_is_one_turn(self):
        """Savepoints of two children never interleave."""
        order = []

        def write(number):
            with transaction.atomic():
                insert(number)
                order.append(number)
                gevent.idle()
                with transaction.atomic():
                    insert(number + 100)
                    gevent.idle()
                order.append(number)
                if number % 2:
                    raise ValueError(number)

        ended = map_each(write, range(10, 20), limit=None, return_exceptions=True)
        assert [repr(end) for end in ended[::2]] == ["None"] * 5
        assert order[::2] == order[1::2]
        assert rows() == [1, 2, *range(10, 20, 2), *range(110, 120, 2)]

    def test_the_test_waits_for_an_atomic_of_a_child(self):
        """What it reads is not in the middle of somebody's transaction."""
        inside, seen = Event(), []

        def write():
            with transaction.atomic():
                insert(3)
                inside.set()
                gevent.idle()
                seen.append("left")
                raise ValueError

        child = gevent.spawn(write)
        inside.wait()
        seen.append(rows())
        with pytest.raises(ValueError):  # noqa: PT011 - the one from above
            child.get()
        assert seen == ["left", [1, 2]]

    def test_a_parent_that_waits_does_not_hold_its_turn(self):
        """Grandchildren work while a child waits for them inside atomic."""

        def parent(number):
            with transaction.atomic():
                insert(number)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of fan-out in atomic, which it is
                    gather(lambda: insert(number + 10), lambda: insert(number + 20))
                raw = gevent.spawn(insert, number + 30)
                raw.join()
                insert(number + 40)

        map_each(parent, [100, 200], limit=None)
        assert rows() == [1, 2, *range(100, 150, 10), *range(200, 250, 10)]

    def test_hooks_run_when_a_child_commits(self):
        """It believes to have committed, so on_commit calls what waits for that."""
        done = []

        def write():
            with transaction.atomic():
                transaction.on_commit(lambda: done.append(rows()))
                insert(3)
                assert not done

        gather(write)
        assert done == [[1, 2, 3]]

    def test_autocommit_can_be_turned_off(self):
        """Transactions that are managed by hand are turns, too."""

        def write():
            transaction.set_autocommit(False)
            insert(3)
            transaction.commit()
            insert(4)
            transaction.rollback()
            insert(5)
            transaction.commit()
            transaction.set_autocommit(True)

        gather(write)
        assert rows() == [1, 2, 3, 5]

    def test_closing_rolls_back_and_leaves_the_connection_open(self):
        """close() in a child means its own, which it does not have."""

        def write():
            with pytest.raises(DatabaseError), transaction.atomic():
                insert(3)
                connection.close()
                insert(4)
            insert(5)
            connection.close()

        gather(write)
        assert rows() == [1, 2, 5]

    def test_a_deadlock_is_named(self):
        """Who waits for a child that waits for him is told so, by its name."""
        inside, go_on = Event(), Event()

        def hold():
            with transaction.atomic():
                insert(3)
                inside.set()
                go_on.wait()

        child = gevent.spawn(hold)
        inside.wait()
        self.addCleanup(setattr, connection.sharing, "_limit", connection.sharing._limit)
        connection.sharing._limit = 0.05
        with pytest.raises(OperationalError, match=r"still inside atomic.*TransactionTestCase"):
            rows()
        go_on.set()
        child.get()
        assert rows() == [1, 2, 3]


class TestKills(Shared):
    def interrupted(self, body):
        """Run a body in children that are stopped in the middle, in each way."""

        def by_deadline():
            with pytest.raises(DeadlineExceeded), deadline(0.05):
                body()
            return rows()

        def by_timeout():
            with gevent.Timeout(0.05, False):
                body()
            return rows()

        raw = connection.connection
        kept = rows()
        for way in (by_deadline, by_timeout):
            assert gather(way) == [kept]
        killed = gevent.spawn(body)
        gevent.sleep(0.05)
        killed.kill()
        assert rows() == kept
        assert connection.connection is raw
        assert not raw.closed

    def test_in_a_statement(self):
        """The test's rows are there, and its connection is open."""
        self.interrupted(lambda: query("SELECT pg_sleep(30)"))

    def test_in_a_transaction(self):
        """What it had written is undone, and nothing else."""

        def body():
            with transaction.atomic():
                insert(3)
                with transaction.atomic():
                    insert(4)
                    query("SELECT pg_sleep(30)")

        self.interrupted(body)

    def test_between_two_statements(self):
        """The same, where no statement runs."""

        def body():
            with transaction.atomic():
                insert(3)
                gevent.sleep(30)

        self.interrupted(body)

    def test_while_it_waits_for_its_turn(self):
        """Its place in the queue is gone with it."""
        inside, go_on = Event(), Event()

        def hold():
            with transaction.atomic():
                insert(3)
                inside.set()
                go_on.wait()

        holder = gevent.spawn(hold)
        inside.wait()
        waiting = [gevent.spawn(insert, number) for number in range(10, 20)]
        gevent.sleep(0)
        gevent.killall(waiting[::2])
        go_on.set()
        gevent.joinall([holder, *waiting])
        assert rows() == [1, 2, 3, *range(11, 20, 2)]

    def test_a_greenlet_that_leaves_its_transaction_open(self):
        """It is rolled back when the greenlet has ended, whatever kind of greenlet."""

        def leave():
            transaction.set_autocommit(False)
            insert(3)

        gevent.spawn(leave).join()
        assert rows() == [1, 2]
        bare = gevent.spawn_raw(leave)
        until(lambda: bare.dead)
        assert rows() == [1, 2]


class TestWithout(TestCase):
    def test_without_sharing_a_child_sees_nothing_of_the_test(self):
        """It is told so, and goes on where that is allowed."""
        query("CREATE TABLE shared (id int)")
        self.enterContext(mock.patch.object(wrapper, "before_connect", None))
        with pytest.raises(FanOutInAtomicBlock, match="SharedConnectionsMixin"):
            gather(query)
        with override_settings(CONCURRENCY={"FAN_OUT_IN_ATOMIC": "allow"}):
            assert gather(lambda: query("SELECT to_regclass('shared')")) == [None]
        with shared_connections():
            assert gather(lambda: query("SELECT to_regclass('shared')::text")) == ["shared"]


class TestRealTransactions(SharedConnectionsMixin, TransactionTestCase):
    available_apps = ()

    def test_a_test_without_a_transaction_shares_nothing(self):
        """Greenlets have their own connections, as in production."""
        own = query("SELECT pg_backend_pid()")
        assert gevent.spawn(query, "SELECT pg_backend_pid()").get() != own

    def _fixture_teardown(self):
        """Flush nothing: the database has no tables."""


def test_a_greenlet_that_outlives_its_test_is_told_so():
    """It does not write into the next one."""

    class Ending(Shared):
        def runTest(self):  # noqa: N802 - unittest's name
            entered = Event()

            def outlive():
                rows()
                entered.set()
                go_on.wait()
                return query("SELECT to_regclass('shared')")

            left.append(gevent.spawn(outlive))
            entered.wait()

    left, go_on = [], Event()
    Ending.setUpClass()
    result = Ending().run()
    Ending.doClassCleanups()
    Ending.tearDownClass()
    assert result.wasSuccessful()
    go_on.set()
    assert left[0].get() is None
    connections.close_all()
