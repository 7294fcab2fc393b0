"""Who started a greenlet, and who waits for whom."""

from __future__ import annotations

import gevent
from gevent.event import Event

from concurrency import gather, offload, spawn
from concurrency.kinship import ancestors, waiting


def names():
    """Return the ancestors of this greenlet that live, the nearest first."""
    return [ancestor.greenlet() for ancestor in ancestors()]


def test_a_child_knows_who_started_it_and_who_started_that_one():
    """The nearest comes first."""
    here = gevent.getcurrent()
    outer, inner = gather(lambda: (gevent.getcurrent(), gather(names)[0]))[0]
    assert inner == [outer, here]


def test_a_thread_of_offload_knows_who_waits_for_it():
    """Its nearest ancestor is the greenlet that has called it."""
    assert offload(names)[0] is gevent.getcurrent()


def test_a_raw_greenlet_has_no_ancestors():
    """What gevent alone starts belongs to nobody."""
    assert gevent.spawn(names).get() == []


def test_the_ancestors_of_a_suspended_greenlet_can_be_asked_for():
    """By another greenlet, from its context."""
    go_on = Event()
    child = spawn(go_on.wait)
    gevent.sleep(0)
    found = [ancestor.greenlet() for ancestor in ancestors(child)]
    go_on.set()
    child.join()
    assert found == [gevent.getcurrent()]


def test_only_an_ancestor_that_waits_says_so():
    """A child of `gather` is waited for, one of `spawn` is not."""

    def is_waited_for():
        return next(ancestors()).is_waiting()

    assert gather(is_waited_for) == [True]
    assert spawn(is_waited_for).get() is False
    assert not waiting


def test_work_that_starts_itself_again_does_not_accumulate_ancestors():
    """A chain of greenlets that start each other for ever needs no more memory for each."""
    depths = []

    def tick(left):
        depths.append(len(list(ancestors())))
        if left:
            spawn(tick, left - 1)

    spawn(tick, 50)
    while len(depths) < 51:
        gevent.sleep(0)
    assert max(depths) <= 3
