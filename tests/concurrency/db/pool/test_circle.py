"""A circle is found when every holder waits for one who waits for a connection."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gevent
import pytest
from gevent.event import Event

from concurrency import kinship
from concurrency.db.pool.lease import Lease
from concurrency.db.pool.starvation import find_circle
from tests.concurrency.db.pool.paper import Owner, lease


class Crowd:
    """Greenlets that do nothing, and who of them waits for whom."""

    def __init__(self) -> None:
        self.end = Event()
        self.queued: set[Any] = set()
        self.holders: list[Owner] = []
        self.greenlets: list[Any] = []

    def greenlet(self, *, queued: bool = False) -> Any:
        made = gevent.spawn(self.end.wait)
        self.greenlets.append(made)
        if queued:
            self.queued.add(made)
        return made

    def lease_of(self, greenlet: Any) -> Lease:
        self.holders.append(Owner())
        return lease(self.holders[-1], greenlet)

    def find(self, *owners: Any) -> tuple[set[Any], tuple[str, ...]]:
        return find_circle([self.lease_of(owner) for owner in owners], self.queued.__contains__)


@pytest.fixture
def crowd() -> Iterator[Crowd]:
    made = Crowd()
    yield made
    made.end.set()
    gevent.joinall(made.greenlets)


@contextmanager
def waits(parent: Any, *children: Any) -> Iterator[None]:
    """Have a greenlet wait for others, as a verb would note it."""
    kinship.waiting[parent] = lambda: children
    try:
        yield
    finally:
        del kinship.waiting[parent]


def test_a_holder_that_works_is_no_circle(crowd):
    """A pool whose holder can go on is busy, not starved."""
    assert crowd.find(crowd.greenlet()) == (set(), ())


def test_a_holder_that_queues_for_a_second_connection_is_a_circle(crowd):
    """The sentence names what the holder waits for."""
    holder = crowd.greenlet(queued=True)
    stuck, (sentence,) = crowd.find(holder)
    assert stuck == {holder}
    assert sentence.endswith("waits for one more connection")


def test_a_circle_passes_through_children_without_a_connection(crowd):
    """A holder whose grandchild queues is stuck as well, and all three are named as stuck."""
    holder, child, grandchild = crowd.greenlet(), crowd.greenlet(), crowd.greenlet(queued=True)
    with waits(holder, child), waits(child, grandchild):
        stuck, (sentence,) = crowd.find(holder)
    assert stuck == {holder, child, grandchild}
    assert " waits for " in sentence


def test_one_child_that_works_is_enough_to_go_on(crowd):
    """A holder that waits for several children is stuck only if all of them are."""
    holder, works, queues = crowd.greenlet(), crowd.greenlet(), crowd.greenlet(queued=True)
    with waits(holder, works, queues):
        assert crowd.find(holder) == (set(), ())


def test_one_holder_that_works_is_enough_to_go_on(crowd):
    """Nobody is stuck for good while one lease can still end."""
    stuck, works = crowd.greenlet(queued=True), crowd.greenlet()
    assert crowd.find(stuck, works) == (set(), ())


def test_a_holder_whose_children_have_ended_goes_on(crowd):
    """It is about to wake up, so it is not stuck."""
    holder, ended = crowd.greenlet(), gevent.spawn(lambda: None)
    ended.join()
    with waits(holder, ended):
        assert crowd.find(holder) == (set(), ())


def test_a_holder_that_is_gone_is_no_circle(crowd):
    """Its lease is about to come back."""
    gone = crowd.lease_of(gevent.Greenlet())
    assert gone.owner() is None
    assert find_circle([gone], crowd.queued.__contains__) == (set(), ())


def test_a_child_that_two_holders_wait_for_counts_for_both(crowd):
    """There is a sentence for each holder, in the order of the leases."""
    first, second, child = crowd.greenlet(), crowd.greenlet(), crowd.greenlet(queued=True)
    with waits(first, child), waits(second, child):
        stuck, circle = crowd.find(first, second)
    assert stuck == {first, second, child}
    assert len(circle) == 2
