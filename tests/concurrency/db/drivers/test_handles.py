"""A handle of the driver that has outlived its lease never runs on somebody else's connection."""

from __future__ import annotations

import gevent
import pytest
from django.db import connection, transaction
from gevent.event import Event

from concurrency import gather
from concurrency.db import keep_lease
from tests.concurrency.db.conftest import query, statistics
from tests.helpers import until

pytestmark = pytest.mark.targets("postgresql", "mariadb", "sqlite")

USES = {
    "execute on a cursor": lambda raw, cursor: cursor.execute("SELECT 1"),
    "executemany": lambda raw, cursor: cursor.executemany("SELECT 1", [(), ()]),
    "a cursor of the connection": lambda raw, cursor: raw.cursor().execute("SELECT 1"),
    "commit": lambda raw, cursor: raw.commit(),
    "rollback": lambda raw, cursor: raw.rollback(),
    "close": lambda raw, cursor: raw.close(),
}


def handles():
    """Return the driver's connection and a cursor of it, as user code keeps them."""
    query()
    raw = connection.connection
    return raw, raw.cursor()


def refused(use, raw, cursor):
    """Return what using a handle raises."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - each driver has its own
        USES[use](raw, cursor)
    return caught.value


def give_back_by_closing():
    connection.close()


def lend():
    gather(query)


@pytest.mark.parametrize("give_back", [give_back_by_closing, lend])
@pytest.mark.parametrize("use", USES)
def test_a_handle_is_refused_while_somebody_else_has_the_connection(pool, target, use, give_back):
    """It raises InterfaceError; what the other one does in its transaction stays whole."""
    pool(max_size=1)
    raw, cursor = handles()
    give_back()
    begun, go_on = Event(), Event()

    def other():
        with transaction.atomic():
            query("CREATE TABLE IF NOT EXISTS handles (id int)")
            query("INSERT INTO handles VALUES (1)")
            assert connection.connection is raw
            begun.set()
            go_on.wait()
            return query("SELECT count(*) FROM handles")

    holder = gevent.spawn(other)
    assert begun.wait(5)
    error = refused(use, raw, cursor)
    assert type(error).__name__ == "InterfaceError"
    assert "keep_lease()" in str(error)
    go_on.set()
    assert holder.get(timeout=5) >= 1
    gevent.spawn(query, "DROP TABLE handles").get()


@pytest.mark.parametrize("use", ["execute on a cursor", "a cursor of the connection", "close"])
def test_a_handle_is_refused_while_the_connection_is_idle(pool, target, use):
    """The next one to get it would find what was left."""
    pool(max_size=1)
    raw, cursor = handles()
    connection.close()
    assert type(refused(use, raw, cursor)).__name__ == "InterfaceError"
    assert query() == 1
    assert (statistics().open, statistics().discarding) == (1, 0)


def test_a_cursor_of_django_is_refused_as_well(pool, target):
    """With Django's error of that name."""
    from django.db import InterfaceError

    pool(max_size=1)
    cursor = connection.cursor()
    cursor.execute("SELECT 1")
    cursor.fetchall()
    connection.close()
    with pytest.raises(InterfaceError, match="given back"):
        cursor.execute("SELECT 1")


def test_a_handle_works_for_as_long_as_its_lease(pool, target):
    """Also in a helper greenlet, and when its greenlet has got the same connection again."""
    pool(max_size=1)
    raw, cursor = handles()
    gevent.spawn(cursor.execute, "SELECT 1").get()
    connection.close()
    query()
    assert connection.connection is raw
    cursor.execute("SELECT 1")
    raw.cursor().execute("SELECT 1")
    with keep_lease():
        raw.cursor().execute("SELECT 1")


def test_the_connection_is_used_again_as_ever(pool, target):
    """What was kept by mistake costs nobody a connection."""
    pool(max_size=1)
    raw, _ = handles()
    used = []
    connection.close()
    gevent.spawn(lambda: (query(), used.append(connection.connection is raw))).get()
    assert used == [True]
    until(lambda: statistics().idle == 1, "it is given back")
