"""TaskGroup: waits for all, cancels on failure, raises everything."""

from __future__ import annotations

import gevent
import pytest
from gevent.event import Event

from concurrency import Task, TaskGroup
from concurrency.context import capture
from concurrency.errors import TaskCancelled
from concurrency.tasks.children import Children
from tests.concurrency.tasks.failing import Boom, fail, for_ever


def was_cancelled(task):
    """Return whether a task has ended without a result or an error of its own."""
    assert task.done()
    try:
        task.exception()
    except TaskCancelled:
        return True
    return False


def test_leaving_the_block_waits_for_all():
    """Every task has ended when the block is left, and knows its result."""
    go_on = Event()
    with TaskGroup() as group:
        tasks = [group.spawn(lambda n: go_on.wait() and n, number) for number in range(5)]
        gevent.idle()
        assert not any(task.done() for task in tasks)
        go_on.set()
    assert all(task.done() for task in tasks)
    assert [task.result() for task in tasks] == [0, 1, 2, 3, 4]
    assert [task.exception() for task in tasks] == [None] * 5


def test_arguments_and_keywords_reach_the_function():
    """spawn passes on what it is given."""
    with TaskGroup() as group:
        task = group.spawn(dict, [("a", 1)], b=2)
    assert isinstance(task, Task)
    assert task.result() == {"a": 1, "b": 2}


def test_a_failure_cancels_the_siblings_and_is_raised_in_a_group():
    """except* sees the failure; the others were ended at their wait."""
    with pytest.raises(ExceptionGroup) as caught, TaskGroup() as group:
        waiting = group.spawn(for_ever)
        failing = group.spawn(fail)
    assert [type(error) for error in caught.value.exceptions] == [Boom]
    assert was_cancelled(waiting)
    assert isinstance(failing.exception(), Boom)
    with pytest.raises(TaskCancelled):
        waiting.result()
    with pytest.raises(Boom):
        failing.result()


def test_every_failure_is_raised():
    """Two that fail before they can be cancelled are both in the group."""
    ready = Event()

    def late():
        try:
            ready.wait()
        finally:
            fail("second")

    with pytest.raises(ExceptionGroup) as caught, TaskGroup() as group:
        group.spawn(late)
        group.spawn(fail, "first")
    assert [str(error) for error in caught.value.exceptions] == ["first", "second"]


def test_a_failure_interrupts_the_block():
    """The body does not wait on for something that nobody needs any more."""
    reached = []
    with pytest.raises(ExceptionGroup), TaskGroup() as group:
        group.spawn(fail)
        for_ever()
        reached.append(True)
    assert not reached


def test_a_body_cannot_swallow_the_interruption():
    """Whatever the body catches, the failures are raised."""
    with pytest.raises(ExceptionGroup), TaskGroup() as group:
        group.spawn(fail)
        try:
            for_ever()
        except BaseException:  # noqa: BLE001 - that it does not help is the point
            gevent.sleep(0)


def test_a_failing_body_cancels_the_tasks_and_is_part_of_the_group():
    """The block's own error is raised as asyncio's TaskGroup does it."""
    with pytest.raises(ExceptionGroup) as caught, TaskGroup() as group:
        task = group.spawn(for_ever)
        gevent.sleep(0)
        fail("body")
    assert [str(error) for error in caught.value.exceptions] == ["body"]
    assert was_cancelled(task)


def test_a_failure_that_the_body_sees_first_is_raised_once():
    """result() in the body raises the task's error, which is not doubled in the group."""
    with pytest.raises(ExceptionGroup) as caught, TaskGroup() as group:
        group.spawn(fail).result()
    assert len(caught.value.exceptions) == 1


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_what_ends_the_process_is_raised_as_itself(kind):
    """An exit in a child is an exit of the parent, not a member of a group."""

    def leave():
        raise kind

    with pytest.raises(kind), TaskGroup() as group:
        group.spawn(leave)
        group.spawn(for_ever)


def test_a_killed_owner_ends_its_tasks_first():
    """A kill passes on when no task is left."""
    ended = []

    def child():
        try:
            for_ever()
        finally:
            gevent.idle()
            ended.append(True)

    def owner():
        with TaskGroup() as group:
            group.spawn(child)
            group.spawn(child)

    greenlet = gevent.spawn(owner)
    gevent.sleep(0)
    greenlet.kill()
    assert ended == [True, True]
    assert isinstance(greenlet.value, gevent.GreenletExit)


def test_a_second_kill_does_not_leave_tasks_behind():
    """The owner waits for its tasks however often it is killed."""
    ended = []

    def child():
        try:
            for_ever()
        finally:
            gevent.idle()
            ended.append(True)

    def owner():
        with TaskGroup() as group:
            group.spawn(child)

    greenlet = gevent.spawn(owner)
    gevent.sleep(0)
    greenlet.kill(block=False)
    gevent.sleep(0)
    greenlet.kill()
    assert ended == [True]


def test_a_timeout_around_the_block_passes_through():
    """gevent's own Timeout ends the tasks and is raised as itself."""
    with pytest.raises(gevent.Timeout), gevent.Timeout(0.01), TaskGroup() as group:
        task = group.spawn(for_ever)
    assert was_cancelled(task)


def test_a_call_that_swallows_its_cancellation_is_cancelled_again(caplog):
    """It is logged with its stack, and waited for."""

    class Impatient(Children):
        patience = 0.01

    def stubborn():
        try:
            for_ever()
        except gevent.GreenletExit:
            for_ever()

    with pytest.raises(ExceptionGroup), Impatient() as children:
        children.start(stubborn, (), {}, capture())
        gevent.sleep(0)
        fail()
    assert "stubborn running> has not ended 0.01 s after it was cancelled" in caplog.text
    assert "in stubborn" in caplog.text


def test_a_cancelled_task_is_no_failure():
    """Its siblings go on, the block is left normally."""
    go_on = Event()
    with TaskGroup() as group:
        cancelled = group.spawn(for_ever)
        other = group.spawn(lambda: go_on.wait() and "done")
        gevent.sleep(0)
        cancelled.cancel()
        gevent.idle()
        go_on.set()
    assert other.result() == "done"
    assert was_cancelled(cancelled)
    assert "cancelled" in repr(cancelled)


def test_a_task_cancelled_before_it_ran_never_runs():
    """No code of it is executed."""
    ran = []
    with TaskGroup() as group:
        task = group.spawn(ran.append, True)
        task.cancel()
    assert not ran
    assert was_cancelled(task)


def test_cancelling_an_ended_task_changes_nothing():
    """Its result stays."""
    with TaskGroup() as group:
        task = group.spawn(lambda: 1)
    task.cancel()
    assert task.result() == 1


def test_a_greenlet_killed_from_outside_before_it_ran_does_not_hang_the_group():
    """Somebody who kills greenlets at random cannot stop the group from ending."""
    started = []
    gevent.Greenlet.add_spawn_callback(started.append)
    try:
        with TaskGroup() as group:
            task = group.spawn(for_ever)
            started[0].kill(block=False)
    finally:
        gevent.Greenlet.remove_spawn_callback(started.append)
    assert was_cancelled(task)


def test_result_waits_inside_the_block():
    """A task's result can be used to start the next one."""
    with TaskGroup() as group:
        first = group.spawn(lambda: gevent.sleep(0) or 2)
        second = group.spawn(lambda n: n * 10, first.result())
    assert second.result() == 20


def test_groups_nest():
    """A failure deep inside ends what is around it, level by level."""
    with pytest.raises(ExceptionGroup) as caught, TaskGroup() as outer:
        other = outer.spawn(for_ever)

        def inner():
            with TaskGroup() as group:
                group.spawn(for_ever)
                group.spawn(fail, "deep")

        outer.spawn(inner)
    assert caught.value.split(Boom)[1] is None
    assert was_cancelled(other)


def test_the_traceback_is_the_childs_own():
    """No frame of the library stands between the group and the failure."""
    with pytest.raises(ExceptionGroup) as caught, TaskGroup() as group:
        group.spawn(fail)
    trace = caught.value.exceptions[0].__traceback__
    assert trace.tb_frame.f_code.co_name == "fail"


def test_group_and_task_show_the_methods_of_the_contract_alone():
    """Whatever else they need is not for users."""
    assert {name for name in dir(TaskGroup) if not name.startswith("_")} == {"spawn"}
    public = {name for name in dir(Task) if not name.startswith("_")}
    assert public == {"done", "result", "exception", "cancel"}
