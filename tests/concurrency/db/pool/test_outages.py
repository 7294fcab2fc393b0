"""Outages: a server that stops, restarts, freezes or ends sessions, a network that breaks.

Whoever is in the middle gets an error of Django's in its time, nobody is stuck, and the
process goes on when the server is back.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gevent
import pytest
from django.db import Error, OperationalError, connection
from gevent.event import Event

from concurrency import deadline, map_each
from concurrency.errors import DeadlineExceeded, PoolTimeout
from tests.concurrency.db.conftest import query, statistics
from tests.concurrency.db.targets import MariaDBTarget, PostgreSQL
from tests.helpers import until
from tests.postgresql import OwnPostgres

pytestmark = [pytest.mark.targets("postgresql", "mariadb"), pytest.mark.slow]

# Seconds in which whatever a test starts has to end, on a machine that is busy.
LIMIT = 10.0

BIG = {
    "postgresql": "SELECT repeat('x', 1000) FROM generate_series(1, 1000000)",
    "mariadb": "SELECT REPEAT('x', 1000) FROM seq_1_to_1000000",
}


@pytest.fixture(scope="session")
def own_postgres() -> Iterator[OwnPostgres]:
    """A PostgreSQL that nobody else uses."""
    with OwnPostgres() as server:
        yield server


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Any:
    """The server that a test stops or freezes."""
    name = request.getfixturevalue("target").name
    return request.getfixturevalue("mariadb" if name == "mariadb" else "own_postgres")


@pytest.fixture
def target(request: pytest.FixtureRequest) -> PostgreSQL | MariaDBTarget:
    """The database on which a test runs, on a server that may be stopped."""
    if request.param == "mariadb":
        return MariaDBTarget(request.getfixturevalue("mariadb"))
    return PostgreSQL(request.getfixturevalue("own_postgres").url)


@contextmanager
def without(server: Any, end: str = "stop", back: str = "start") -> Iterator[None]:
    """Do without the server for the length of a block."""
    getattr(server, end)()
    try:
        yield
    finally:
        getattr(server, back)()


def errors_of(count: int, fn: Callable[[], Any] = query) -> list[BaseException]:
    """Call a function in so many greenlets at once, and return what each has raised."""
    with gevent.Timeout(LIMIT, TimeoutError("somebody is stuck")):
        found = map_each(lambda _: fn(), range(count), limit=None, return_exceptions=True)
    assert all(isinstance(each, BaseException) for each in found), found
    return found


def is_whole() -> bool:
    """Return whether nothing is leased, under way or waited for."""
    numbers = statistics()
    return not (numbers.in_use + numbers.connecting + numbers.discarding + numbers.waiting)


def everybody_is_served(count: int = 20) -> bool:
    """Return whether so many greenlets get their own numbers back."""
    with gevent.Timeout(LIMIT, TimeoutError("somebody is stuck")):
        return map_each(lambda n: query("SELECT %s", n), range(count), limit=None) == list(
            range(count)
        )


# Stopped, restarted


def test_a_server_that_stops_and_starts_again(pool, target, server):
    """Its error reaches everybody at once, and the same process goes on afterwards."""
    pool(max_size=4, timeout=60.0)
    map_each(lambda _: query(target.sleep(0.02)), range(4), limit=4)
    cut = [gevent.spawn(query, target.sleep(30)) for _ in range(2)]
    until(lambda: statistics().in_use == 2)
    with without(server):
        for greenlet in cut:
            with pytest.raises(Error):
                greenlet.get(timeout=LIMIT)
        errors = errors_of(50)
        assert {type(error) for error in errors} == {OperationalError}
        until(is_whole, "whole while the server is away")
        assert statistics().open == 0
    assert everybody_is_served()
    until(is_whole, "whole when the server is back")
    assert statistics().open <= 4


def test_a_deadline_holds_while_the_server_is_away(pool, server):
    """A pause between two attempts is no reason to be late."""
    pool(max_size=1, timeout=60.0)
    with without(server):
        for _ in range(4):
            with pytest.raises(OperationalError):
                query()
        # The next attempt is at least 0.4 seconds away.
        with pytest.raises(DeadlineExceeded), deadline(0.01):
            query()
        assert (statistics().waiting, statistics().in_use) == (0, 0)


# Refused


def test_a_server_that_refuses_is_left_alone(pool, proxy, caplog):
    """However many want to connect, attempts become rare; the log has one line for all."""
    pool(max_size=4, timeout=60.0, HOST=proxy.host, PORT=proxy.port)
    refused = []

    def insist():
        while len(refused) < 60:
            with pytest.raises(OperationalError) as caught:
                query()
            assert not isinstance(caught.value, PoolTimeout)
            refused.append(caught.value)

    proxy.refuse()
    with caplog.at_level(logging.WARNING, "concurrency.db"):
        gevent.joinall([gevent.spawn(insist) for _ in range(30)], timeout=LIMIT, raise_error=True)
        assert proxy.refused <= 20
        proxy.admit()
        assert everybody_is_served()
    assert [record.getMessage().split(": ")[1].split(" after")[0] for record in caplog.records] == [
        "cannot connect",
        "connected again",
    ]


def test_the_first_in_the_queue_is_told_and_the_others_may_hope(pool, proxy):
    """While somebody holds a connection that may come back, an error is not everybody's."""
    pool(max_size=2, timeout=60.0, HOST=proxy.host, PORT=proxy.port)
    held, go_on = Event(), Event()

    def hold():
        query()
        held.set()
        go_on.wait()

    holder = gevent.spawn(hold)
    held.wait(LIMIT)
    proxy.refuse()
    first, second = gevent.spawn(query), gevent.spawn(query)
    with pytest.raises(OperationalError):
        first.get(timeout=LIMIT)
    go_on.set()
    assert second.get(timeout=LIMIT) == 1
    holder.join()


def test_who_cannot_wait_for_the_next_attempt_is_told_why(pool, proxy):
    """A PoolTimeout says that the server refuses, and does not blame the size of the pool."""
    pool(max_size=2, timeout=0.01, HOST=proxy.host, PORT=proxy.port)
    proxy.refuse()
    errors: list[BaseException] = []

    def is_told() -> bool:
        errors[:] = errors_of(1)
        return isinstance(errors[0], PoolTimeout) and errors[0].refused is not None

    until(is_told, "told")
    assert f"The server lets nobody in: {errors[0].refused}" in str(errors[0])
    assert "max_size" not in str(errors[0])


# Frozen


def test_a_frozen_server(pool, target, server, observer):
    """Whoever has a deadline ends with it, leased or waiting; what ran is stopped later."""
    pool(max_size=4, timeout=60.0)
    busy = [gevent.spawn(query, target.sleep(30)) for _ in range(2)]
    map_each(lambda _: query(target.sleep(0.01)), range(2), limit=2)
    until(lambda: observer.running("sleep") == 2, "running")

    def ask():
        with deadline(0.2):
            query()

    with without(server, "freeze", "thaw"):
        errors = errors_of(10, ask)
        gevent.killall(busy, timeout=LIMIT)
        assert {type(error) for error in errors} == {DeadlineExceeded}
        assert all(greenlet.dead for greenlet in busy)
        assert (statistics().in_use, statistics().waiting) == (0, 0)
    assert everybody_is_served()
    until(lambda: observer.running("sleep") == 0, "stopped")
    until(is_whole)
    assert observer.sessions() <= 4


# Terminated


def test_sessions_that_are_ended_in_the_middle(pool, target, observer):
    """Each of them is an error of Django's for its greenlet, and a free slot for the next."""
    pool(max_size=4, timeout=60.0)
    victims = [gevent.spawn(query, target.sleep(30)) for _ in range(4)]
    waiting = [gevent.spawn(query, "SELECT %s", number) for number in range(10)]
    until(lambda: observer.running("sleep") == 4, "running")
    observer.terminate()
    for victim in victims:
        with pytest.raises(Error):
            victim.get(timeout=LIMIT)
    assert [greenlet.get(timeout=LIMIT) for greenlet in waiting] == list(range(10))
    until(is_whole)
    assert observer.sessions() <= 4


# The network


def test_a_network_that_is_cut_in_the_middle_of_a_result(pool, target, observer, proxy):
    """What had arrived is dropped with the connection; nobody else gets the rest of it."""
    pool(max_size=2, timeout=60.0, HOST=proxy.host, PORT=proxy.port)
    reading = [gevent.spawn(query, BIG[target.name]) for _ in range(2)]
    waiting = [gevent.spawn(query, "SELECT %s", number) for number in range(10)]
    until(lambda: proxy.received > 1_000_000, "half-way through")
    proxy.cut()
    for greenlet in reading:
        with pytest.raises(Error):
            greenlet.get(timeout=LIMIT)
    assert [greenlet.get(timeout=LIMIT) for greenlet in waiting] == list(range(10))
    until(is_whole)
    until(lambda: observer.sessions() <= 2, "ended on the server")
    connection.close()
