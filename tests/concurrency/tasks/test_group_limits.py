"""The limit of a TaskGroup, and when it takes tasks at all."""

from __future__ import annotations

import gevent
import pytest

from concurrency import TaskGroup
from concurrency.errors import TaskCancelled
from tests.concurrency.tasks.failing import fail, for_ever


def test_the_limit_is_kept():
    """Never more than limit tasks run at once, and all of them do run."""
    running, most = 0, 0

    def work():
        nonlocal running, most
        running += 1
        most = max(most, running)
        gevent.idle()
        running -= 1

    with TaskGroup(limit=3) as group:
        tasks = [group.spawn(work) for _ in range(20)]
    assert most == 3
    assert all(task.done() for task in tasks)


def test_a_child_may_spawn_siblings_when_the_group_is_full():
    """It does not wait for itself: the sibling is queued."""
    done = []

    def parent_task(group):
        for number in range(3):
            group.spawn(done.append, number)

    with TaskGroup(limit=1) as group:
        group.spawn(parent_task, group)
    assert sorted(done) == [0, 1, 2]


def test_a_failure_while_the_owner_waits_for_room_is_raised():
    """spawn does not wait for a place in a group that has failed."""
    with pytest.raises(ExceptionGroup), TaskGroup(limit=1) as group:
        group.spawn(lambda: gevent.sleep(0) or fail())
        group.spawn(for_ever)


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_is_refused(limit):
    """gevent's Pool(0) hangs for ever; this says what is wrong."""
    with pytest.raises(ValueError, match="at least 1"):
        TaskGroup(limit=limit)


@pytest.mark.parametrize("limit", ["3", 2.5, True])
def test_a_limit_that_is_no_number_is_refused(limit):
    """The wrong type is named."""
    with pytest.raises(TypeError, match="whole number"):
        TaskGroup(limit=limit)


def test_spawn_outside_the_block_is_refused():
    """Before and after it the message says where to spawn."""
    group = TaskGroup()
    with pytest.raises(RuntimeError, match="inside"):
        group.spawn(for_ever)
    with group:
        pass
    with pytest.raises(RuntimeError, match="inside"):
        group.spawn(for_ever)
    with pytest.raises(RuntimeError, match="make a new one"), group:
        pass


def test_spawn_in_a_group_that_is_being_cancelled_is_refused():
    """A child's clean-up cannot start new work."""
    refused = []

    def child(group):
        try:
            for_ever()
        finally:
            try:
                group.spawn(for_ever)
            except TaskCancelled as error:
                refused.append(str(error))

    with pytest.raises(ExceptionGroup), TaskGroup() as group:
        group.spawn(child, group)
        gevent.sleep(0)
        fail()
    assert refused == ["the TaskGroup is being cancelled: it starts no more tasks"]
