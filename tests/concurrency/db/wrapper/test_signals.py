"""Handlers of signals use a database although Python calls them in gevent's hub."""

from __future__ import annotations

import contextlib
import functools
import os
import signal

import gevent
import pytest
from django.db import connection, transaction
from gevent.exceptions import BlockingSwitchOutError
from gevent.hub import get_hub

from concurrency import gather
from concurrency.errors import PoolTimeout
from tests.concurrency.db.conftest import query, statistics
from tests.helpers import until

pytestmark = pytest.mark.targets("postgresql", "mariadb", "sqlite")


@pytest.fixture
def handled():
    """Set a handler, raise its signal while the hub waits, and return what the handler did."""
    before = signal.getsignal(signal.SIGUSR2)

    def run(work, make=lambda handler: handler):
        outcome = []

        def handler(number, frame):
            outcome.append(gevent.getcurrent() is get_hub())
            try:
                outcome.append(work())
            except BaseException as error:  # noqa: BLE001 - looked at by the test
                outcome.append(error)
            finally:
                connection.close()

        signal.signal(signal.SIGUSR2, make(handler))
        get_hub().loop.timer(0.01).start(os.kill, os.getpid(), signal.SIGUSR2)
        until(lambda: len(outcome) == 2, "the handler has ended")
        return outcome

    yield run
    signal.signal(signal.SIGUSR2, before)


def in_transaction():
    with transaction.atomic():
        query()
        return query("SELECT 7")


def is_connected():
    """Return whether a query of another greenlet has left an idle connection."""

    def ask():
        with contextlib.suppress(PoolTimeout):
            return query()
        return None

    return gevent.spawn(ask).get() is not None


@pytest.mark.parametrize(
    "make",
    [
        lambda handler: handler,
        lambda handler: functools.partial(handler),
        lambda handler: type("Handler", (), {"__call__": lambda self, *args: handler(*args)})(),
        lambda handler: type("Handler", (), {"run": lambda self, *args: handler(*args)})().run,
    ],
    ids=["function", "partial", "object", "method"],
)
@pytest.mark.parametrize("work", [lambda: query("SELECT 7"), in_transaction])
def test_a_handler_of_a_signal_uses_a_database(pool, target, handled, work, make):
    """The first connection of the pool is opened for it; others go on meanwhile."""
    assert handled(work, make) == [True, 7]
    assert statistics().in_use == 0
    assert gather(query) == [1]


def test_a_handler_waits_for_a_connection(pool, target, handled):
    """Until its holder, who goes on meanwhile, gives it back."""
    pool(max_size=1)
    begun = gevent.event.Event()

    def hold():
        query()
        begun.set()
        gevent.sleep(0.1)

    holder = gevent.spawn(hold)
    begun.wait()
    assert handled(lambda: query("SELECT 7")) == [True, 7]
    holder.join()


def test_a_handler_waits_no_longer_than_others(pool, target, handled):
    """An exhausted pool ends its wait, too."""
    pool(max_size=1, timeout=0.2)
    until(is_connected, "an idle connection, so that nobody has to open one in time")
    end = gevent.event.Event()
    holder = gevent.spawn(lambda: (query(), connection.connection, end.wait()))
    until(lambda: statistics().in_use == 1)
    is_hub, error = handled(query)
    assert is_hub
    assert type(error).__name__ == "PoolTimeout"
    end.set()
    holder.join()


def test_a_callback_of_the_hub_is_told_what_to_do(pool, target):
    """It is no signal handler, so it must not wait; the error says what to use instead."""
    outcome = []

    def callback():
        try:
            query()
        except BlockingSwitchOutError as error:
            outcome.append(str(error))
        finally:
            connection.close()

    get_hub().loop.run_callback(callback)
    until(lambda: bool(outcome), "it was called")
    (text,) = outcome
    for advice in ("gevent.spawn()", "concurrency.spawn()", "gevent.signal_handler()"):
        assert advice in text
    assert query() == 1
