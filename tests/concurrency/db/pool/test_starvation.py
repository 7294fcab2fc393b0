"""A pool in which nobody could ever go on says so, and names the circle."""

from __future__ import annotations

import gevent
import pytest
from django.db import connections, transaction
from gevent.event import Event

from concurrency import TaskGroup, gather, joinall, spawn
from concurrency.errors import PoolStarvation, PoolTimeout
from tests.concurrency.db.conftest import query, statistics
from tests.helpers import until


@pytest.fixture(autouse=True)
def allow(settings_with):
    """Fan-out inside atomic is how a pool is starved; it is not what is tested here."""
    settings_with(FAN_OUT_IN_ATOMIC="allow")


def by_gather(fn):
    return gather(fn)


def by_group(fn):
    with TaskGroup() as group:
        task = group.spawn(fn)
    return [task.result()]


def by_joinall(fn):
    return joinall([spawn(fn)])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("verb", [by_gather, by_group, by_joinall])
def test_a_parent_that_waits_for_a_child_without_a_connection(pool, verb):
    """A pool of one, held in atomic by who waits for its next user: an error, not a wait."""
    pool(max_size=1, timeout=60.0)
    with pytest.raises((PoolStarvation, ExceptionGroup)) as caught, transaction.atomic():
        query("SELECT 'held by the parent'")
        verb(query)
    error = caught.value
    if isinstance(error, ExceptionGroup):
        (error,) = error.exceptions
    assert isinstance(error, PoolStarvation)
    assert isinstance(error, PoolTimeout)
    (sentence,) = error.circle
    assert "held by the parent" in sentence
    assert "waits for" in sentence
    assert "max_size" in str(error)
    assert query() == 1


def test_a_holder_that_asks_for_one_more(pool):
    """It would wait for itself."""
    pool(max_size=1, timeout=60.0)
    query("SELECT 'held by myself'")
    other = connections.create_connection("default")
    with pytest.raises(PoolStarvation) as caught:
        other.ensure_connection()
    (sentence,) = caught.value.circle
    assert "held by myself" in sentence
    assert "waits for one more connection" in sentence
    assert query() == 1


def test_two_parents_starve_each_other(pool):
    """One of them gets an error; the other one goes on with the connection that came free."""
    pool(max_size=2, timeout=60.0)
    both, results = Event(), []
    begun = []

    def parent():
        try:
            with transaction.atomic():
                query()
                begun.append(1)
                if len(begun) == 2:
                    both.set()
                both.wait()
                results.append(gather(query))
        except PoolStarvation as error:
            results.append(error)

    gevent.joinall([gevent.spawn(parent), gevent.spawn(parent)])
    assert [1] in results
    assert any(isinstance(result, PoolStarvation) for result in results)


def test_the_circle_may_pass_through_grandchildren(pool):
    """A child without a connection of its own that waits for one with is stuck too."""
    pool(max_size=1, timeout=60.0)
    with pytest.raises(PoolStarvation), transaction.atomic():
        query()
        gather(lambda: gather(query))


@pytest.mark.slow
def test_one_error_after_the_other_until_somebody_can_go_on(pool):
    """A parent that takes errors for results gets as many as are needed, and then its answer."""
    pool(max_size=1, timeout=60.0)
    with transaction.atomic():
        query()
        results = gather(query, query, return_exceptions=True)
        assert all(isinstance(result, PoolStarvation) for result in results)
    assert query() == 1


def test_who_can_go_on_is_not_starved(pool):
    """A holder that works, and one that waits for a child that works, are only busy."""
    pool(max_size=2, timeout=60.0)
    go_on = Event()

    def works():
        query()
        go_on.wait()

    def waits_for_a_worker():
        with transaction.atomic():
            query()
            gather(lambda: go_on.wait())

    gather(query)  # opens the pool
    holders = [gevent.spawn(works), gevent.spawn(waits_for_a_worker)]
    until(lambda: statistics().in_use == 2)
    waiter = gevent.spawn(query)
    until(lambda: statistics().waiting == 1)
    gevent.sleep(0.02)
    assert not waiter.ready()
    go_on.set()
    assert waiter.get(timeout=5) == 1
    gevent.joinall(holders)


def test_a_bystander_is_not_hit(pool):
    """The error is for a child of the circle, not for whoever waits longest."""
    pool(max_size=1, timeout=60.0)
    begun = Event()

    def parent():
        with transaction.atomic():
            query()
            begun.set()
            until(lambda: statistics().waiting == 1)
            gather(query)

    starving = gevent.spawn(parent)
    begun.wait()
    bystander = gevent.spawn(query)
    with pytest.raises(PoolStarvation):
        starving.get(timeout=5)
    assert bystander.get(timeout=5) == 1
