"""Primitives that greenlets and native threads share."""

from __future__ import annotations

import queue
import random
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from gevent.exceptions import BlockingSwitchOutError
from gevent.hub import get_hub
from gevent.monkey import get_original

from concurrency import TaskGroup, offload
from concurrency.patching.locks import Lock

native_sleep = get_original("time", "sleep")

# Long enough for a machine that does many other things, and less than a test may take.
LIMIT = 15


def crowd(work: Callable[[], object], *, greenlets: int = 8, threads: int = 5) -> None:
    """Have the same done by many greenlets and many native threads at the same time."""
    with gevent.Timeout(LIMIT), TaskGroup() as group:
        for _ in range(greenlets):
            group.spawn(work)
        for _ in range(threads):
            group.spawn(offload, work)


@pytest.fixture(autouse=True)
def often() -> Iterator[None]:
    """Have native threads interrupt each other often."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.parametrize("make", [threading.Lock, threading.RLock, threading.Condition])
@pytest.mark.parametrize("how", ["at once", "natively", "cooperatively"])
def test_a_lock_lets_one_in_at_a_time(make: Callable[[], Any], how: str):
    """Whatever its holder does, and nobody is left waiting."""
    lock, counted = make(), [0]
    pause = {"at once": lambda _: None, "natively": native_sleep, "cooperatively": gevent.sleep}

    def work() -> None:
        for _ in range(20):
            with lock:
                before = counted[0]
                pause[how](1e-5)
                counted[0] = before + 1

    crowd(work)
    assert counted == [13 * 20]
    assert lock.acquire(blocking=False)
    lock.release()


def test_nobody_starves_beside_a_thread_that_takes_it_again_and_again():
    """Who has waited for long is given the lock."""
    lock, over = threading.Lock(), threading.Event()

    def greedy() -> None:
        while not over.is_set():
            with lock:
                native_sleep(0.001)

    with gevent.Timeout(LIMIT), TaskGroup() as group:
        group.spawn(offload, greedy)
        for _ in range(10):
            with lock:
                gevent.sleep()
        over.set()


def test_a_killed_waiter_leaves_nothing_behind():
    """Kills and timeouts of those who wait neither lose the lock nor a wake-up."""
    lock = threading.Lock()

    def work() -> None:
        for _ in range(20):
            timeout = random.choice([-1, 0, 0.0001, 0.001])
            if lock.acquire(timeout=timeout):
                native_sleep(0.0002)
                lock.release()
            elif timeout == -1:
                raise AssertionError("not acquired")

    def killed() -> None:
        for _ in range(20):
            with gevent.Timeout(0.0005, False), lock:
                gevent.sleep(0.0001)

    with gevent.Timeout(LIMIT), TaskGroup() as group:
        for _ in range(5):
            group.spawn(work)
            group.spawn(killed)
            group.spawn(offload, work)
    assert lock.acquire(timeout=LIMIT)


def test_events_wake_threads_and_greenlets():
    """In turns, thousands of times."""
    pings = [threading.Event() for _ in range(1000)]
    pongs = [threading.Event() for _ in range(1000)]

    def native() -> None:
        for ping, pong in zip(pings, pongs, strict=True):
            ping.set()
            assert pong.wait(LIMIT)

    with gevent.Timeout(LIMIT), TaskGroup() as group:
        group.spawn(offload, native)
        for ping, pong in zip(pings, pongs, strict=True):
            assert ping.wait(LIMIT)
            pong.set()


def test_a_thread_that_is_joined_for_long_ends(capsys: pytest.CaptureFixture[str]):
    """By greenlets and native threads, without a complaint."""
    thread = threading.Thread(target=gevent.sleep, args=(0.05,))
    thread.start()
    crowd(thread.join, greenlets=3, threads=2)
    assert not thread.is_alive()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("make", [queue.Queue, queue.LifoQueue, queue.PriorityQueue])
def test_a_queue_passes_everything_on(make: type[queue.Queue[Any]]):
    """Between threads and greenlets, in both directions, also when it is full."""
    passed: queue.Queue[Any] = make(3)
    got: list[int] = []

    def put() -> None:
        for number in range(50):
            passed.put(number)

    def get() -> None:
        for _ in range(50):
            got.append(passed.get())
            passed.task_done()

    with gevent.Timeout(LIMIT), TaskGroup() as group:
        for _ in range(3):
            group.spawn(put)
            group.spawn(get)
            group.spawn(offload, put)
            group.spawn(offload, get)
        passed.join()
    assert sorted(got) == sorted(list(range(50)) * 6)


def test_a_lock_behaves_as_the_standard_librarys():
    """Errors, representations and return values."""
    lock = Lock()
    assert "unlocked" in repr(lock)
    assert lock.acquire() is True
    assert " unlocked" not in repr(lock)
    assert lock.locked()
    assert lock.acquire(False) is False
    assert lock.acquire(timeout=0) is False
    with pytest.raises(ValueError, match="non-blocking"):
        lock.acquire(False, 1)
    with pytest.raises(ValueError, match="non-negative"):
        lock.acquire(True, -2)
    lock.release()
    with pytest.raises(RuntimeError):
        lock.release()


def test_a_lock_that_is_tried_again_and_again_is_released_meanwhile():
    """A loop that tries lets the holder get on."""
    lock = threading.Lock()
    lock.acquire()
    gevent.spawn(lock.release)
    with gevent.Timeout(LIMIT):
        while not lock.acquire(False):
            pass


def test_the_hub_waits_for_a_native_thread_and_not_for_a_greenlet():
    """A callback of the hub cannot let the greenlet run that holds the lock."""
    lock, taken = threading.Lock(), threading.Event()
    outcomes: queue.Queue[Any] = queue.Queue()

    def hold() -> None:
        with lock:
            taken.set()
            native_sleep(0.05)

    def take() -> None:
        try:
            with lock:
                outcomes.put("got it")
        except BlockingSwitchOutError as error:
            outcomes.put(str(error))

    with gevent.Timeout(LIMIT), TaskGroup() as group:
        group.spawn(offload, hold)
        taken.wait()
        get_hub().loop.run_callback(take)
        assert outcomes.get() == "got it"
    with lock:
        get_hub().loop.run_callback(take)
        assert "held by a greenlet" in outcomes.get()


def test_queues_have_what_libraries_expect():
    """Locks, conditions, counters, attributes of one's own, and methods to override."""
    one: Any = queue.Queue(2)
    for name in ("mutex", "not_empty", "not_full", "all_tasks_done"):
        assert hasattr(one, name)
    assert (one.maxsize, queue.Queue().maxsize, one.unfinished_tasks) == (2, 0, 0)
    one.closed = True
    with one.mutex:
        one.queue.append("put below the counters")
        one.not_empty.notify()
    assert one.get() == "put below the counters"

    class Distinct(queue.Queue):  # type: ignore[type-arg]
        def _put(self, item: Any) -> None:
            if item not in self.queue:
                self.queue.append(item)

    distinct: Any = Distinct()
    distinct.put(1)
    distinct.put(1)
    assert (distinct.qsize(), distinct.unfinished_tasks) == (1, 2)
    assert queue.Queue[int]
