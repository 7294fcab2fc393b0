"""Locks that a database keeps: one holder at a time, and free again whatever happens to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from django.db import connection, connections, transaction
from django.db.transaction import TransactionManagementError
from gevent.event import Event

from concurrency import gather
from concurrency.db.locks import advisory_lock
from concurrency.errors import LockTimeout
from tests.concurrency.db.conftest import statistics
from tests.helpers import until

on_servers = pytest.mark.targets("postgresql", "mariadb")


class Holder:
    """A greenlet that holds a lock until it is let go."""

    def __init__(self, name: str = "nightly", using: str = "default") -> None:
        self._has, self._enough = Event(), Event()
        self.greenlet = gevent.spawn(self._hold, name, using)
        assert self._has.wait(5), "the lock is not to be had"

    def _hold(self, name: str, using: str) -> None:
        with advisory_lock(name, using=using, timeout=5):
            self._has.set()
            self._enough.wait(5)

    def end(self) -> None:
        """Leave the block."""
        self._enough.set()
        self.greenlet.get(timeout=5)


@pytest.fixture
def holder(pool: Callable[..., None]) -> Iterator[Callable[..., Holder]]:
    """Make holders of locks, and end them."""
    made: list[Holder] = []

    def make(*args: str) -> Holder:
        made.append(Holder(*args))
        return made[-1]

    yield make
    for one in made:
        one.greenlet.kill()


@on_servers
def test_only_one_has_it(holder: Callable[..., Holder]) -> None:
    """Who does not want to wait is told that somebody else has the lock, and of which name."""
    holder()
    with pytest.raises(LockTimeout) as caught, advisory_lock("nightly", timeout=0):
        pytest.fail("two have it")
    assert (caught.value.name, caught.value.alias, caught.value.seconds) == (
        "nightly",
        "default",
        0,
    )


@on_servers
def test_who_waits_gets_it_next(holder: Callable[..., Holder]) -> None:
    """The lock is had as soon as its holder leaves the block."""
    first = holder()
    waiter = gevent.spawn(Holder)
    gevent.idle()
    assert not waiter.ready()
    first.end()
    waiter.get(timeout=5).end()


@on_servers
def test_names_are_apart(holder: Callable[..., Holder]) -> None:
    """Locks of other names are not in the way."""
    holder()
    with advisory_lock("hourly", timeout=0), advisory_lock("é" * 500, timeout=0):
        pass


@on_servers
def test_who_is_killed_has_it_no_longer(holder: Callable[..., Holder]) -> None:
    """A holder that is killed leaves the lock free, and its connection without it."""
    holder().greenlet.kill()
    with advisory_lock("nightly", timeout=0):
        pass


@on_servers
def test_who_forgets_it_keeps_nobody_out(pool: Callable[..., None]) -> None:
    """A lock whose session is closed in the block is free, and the block ends without an error."""
    with advisory_lock("nightly", timeout=0):
        connection.close()
        with gevent.Timeout(5):
            gevent.spawn(Holder).get().end()


@on_servers
def test_an_error_of_the_block_goes_on_its_way(pool: Callable[..., None]) -> None:
    """What the block raises is what comes out, and the lock is free."""
    with pytest.raises(LookupError), advisory_lock("nightly", timeout=0):
        raise LookupError
    with advisory_lock("nightly", timeout=0):
        pass


@on_servers
def test_the_connection_stays_with_its_holder(pool: Callable[..., None]) -> None:
    """While the block waits for children its connection is not lent, for the lock is on it."""

    def child() -> None:
        with pytest.raises(LockTimeout), advisory_lock("nightly", timeout=0):
            pytest.fail("the parent has lost it")

    with advisory_lock("nightly", timeout=0):
        gather(child)
        assert statistics().in_use == 1
    connection.close()
    until(lambda: statistics().in_use == 0, "given back")


@on_servers
def test_not_inside_a_transaction(pool: Callable[..., None]) -> None:
    """Inside atomic the lock would be free before the commit, so it is refused."""
    with (
        transaction.atomic(),
        pytest.raises(TransactionManagementError, match="take the lock first"),
        advisory_lock("nightly"),
    ):
        pass


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[str]:
    """Give the alias of a database in a file."""
    settings: dict[str, Any] = {
        **connections.settings["default"],
        "ENGINE": "concurrency.db.backends.sqlite3",
        "NAME": str(tmp_path / "locked.sqlite3"),
        "OPTIONS": {},
    }
    connections.settings["locked"] = settings
    yield "locked"
    connections["locked"].close()
    del connections["locked"], connections.settings["locked"]


def test_sqlite_has_a_file(sqlite: str) -> None:
    """For SQLite the lock is a file beside the database, and works the same."""
    one = Holder("nightly", sqlite)
    with pytest.raises(LockTimeout), advisory_lock("nightly", using=sqlite, timeout=0.05):
        pytest.fail("two have it")
    with advisory_lock("hourly", using=sqlite, timeout=0):
        pass
    one.end()
    with advisory_lock("nightly", using=sqlite, timeout=0):
        pass
