"""Native threads for greenlets: in order, interruptible, and nothing is called twice."""

from __future__ import annotations

import os
from collections.abc import Iterator

import gevent
import pytest
from gevent.monkey import get_original

from concurrency import offload
from concurrency.db.drivers.sqlite.native import NativeThread
from tests.helpers import until

native_sleep = get_original("time", "sleep")


@pytest.fixture
def thread() -> Iterator[NativeThread]:
    made = NativeThread()
    yield made
    made.end()


class Work:
    """Something that runs until it is interrupted."""

    def __init__(self) -> None:
        self.interrupted = 0
        self.ended: list[bool] = []
        self.running = False

    def __call__(self) -> str:
        self.running = True
        for _ in range(5000):
            if self.interrupted:
                break
            native_sleep(0.001)
        return "done"

    def interrupt(self) -> None:
        self.interrupted += 1

    def call_ended(self, stopped: bool) -> None:
        self.ended.append(stopped)


def test_values_and_errors_come_back(thread):
    """A call is as if it had been made here."""
    assert thread.run(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        thread.run(lambda: 1 / 0)
    assert not thread.is_busy()


def test_calls_are_made_in_order_and_elsewhere(thread):
    """One after the other, in a thread that is not the caller's."""
    seen: list[int] = []
    greenlets = [gevent.spawn(thread.run, lambda x=x: seen.append(x)) for x in range(50)]
    gevent.joinall(greenlets, raise_error=True)
    assert seen == list(range(50))
    assert thread.run(thread.is_current)
    assert not thread.is_current()


def test_a_call_inside_a_call_is_made_at_once(thread):
    """The thread does not wait for itself."""
    assert thread.run(lambda: thread.run(lambda: 7)) == 7


def test_who_is_killed_interrupts_the_call(thread):
    """The kill goes on when the call has ended."""
    work = Work()
    greenlet = gevent.spawn(thread.run, work, work, budget=5)
    until(lambda: work.running)
    greenlet.kill(timeout=5)
    assert greenlet.dead
    assert (work.interrupted, work.ended) == (1, [True])
    assert not thread.is_busy()


def test_a_call_that_has_not_begun_is_not_made(thread):
    """Killing who waits for it interrupts nobody else."""
    work, seen = Work(), []
    running = gevent.spawn(thread.run, work, work)
    until(lambda: work.running)
    waiting = gevent.spawn(thread.run, lambda: seen.append(1), Work(), budget=5)
    gevent.sleep(0)
    waiting.kill(timeout=5)
    assert work.interrupted == 0
    thread.interrupt()
    running.join(5)
    assert running.value == "done"
    thread.run(lambda: None)
    assert seen == []


def test_a_call_that_ends_within_its_grace_is_not_interrupted(thread):
    """It gets that time before it is disturbed."""
    work, begun, may_end = Work(), [], get_original("_thread", "allocate_lock")()

    def call():
        begun.append(True)
        return may_end.acquire(timeout=5)

    with may_end:
        greenlet = gevent.spawn(thread.run, call, work, grace=5, budget=5)
        until(lambda: begun)
        greenlet.kill(block=False)
        gevent.sleep(0)
    greenlet.join(5)
    assert (work.interrupted, work.ended) == (0, [False])


def test_a_call_that_does_not_stop_is_left_after_the_budget(thread):
    """Whoever wants to know can still ask whether it has ended."""
    may_end = False

    def stubborn() -> None:
        while not may_end:
            native_sleep(0.001)

    with gevent.Timeout(0.01, False):
        thread.run(stubborn, Work(), budget=0.05)
    assert thread.is_busy()
    assert thread.is_stuck()
    assert not thread.stop(0.02)
    may_end = True
    assert thread.stop(5)
    assert not thread.is_stuck()


def test_a_second_kill_does_not_keep_the_first_from_its_work(thread):
    """The call is interrupted, whatever arrives meanwhile; the last kill goes on."""
    slow = Work()
    slow.interrupt = lambda: None
    greenlet = gevent.spawn(thread.run, slow, slow, budget=0.2)
    until(lambda: slow.running)
    greenlet.kill(block=False)
    gevent.idle()
    greenlet.kill(KeyError, block=False)
    gevent.idle()
    assert not greenlet.dead
    slow.interrupted = 1
    greenlet.join(5)
    assert isinstance(greenlet.exception, KeyError)
    assert not thread.is_stuck()


def test_what_is_posted_is_called_whatever_happens(thread):
    """Nobody has to wait for it."""
    seen: list[int] = []
    thread.post(lambda: seen.append(1))
    wait = thread.post(lambda: seen.append(2))
    wait()
    assert seen == [1, 2]


def test_a_thread_of_offload_may_call_too(thread):
    """Each caller waits on its own hub."""
    assert offload(lambda: thread.run(lambda: 7)) == 7


def test_after_a_fork_the_thread_is_the_parents(thread):
    """A child is told, instead of waiting for a thread that it does not have."""
    child = os.fork()
    if child == 0:
        try:
            thread.run(lambda: 1)
        except RuntimeError:
            os._exit(7)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
