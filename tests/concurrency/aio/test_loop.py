"""The loop that waits on the hub runs calls in greenlets, and knows when it is like new."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import gevent
import pytest
from gevent.event import Event

from concurrency import offload
from concurrency.aio.loop import HubLoop, SingleThread
from tests.helpers import until


@pytest.fixture
def loop() -> Iterator[HubLoop]:
    """A loop that does not run."""
    made = HubLoop()
    yield made
    made.is_parked = False
    made.set_task_factory(None)
    made.run_until_complete(made.join_greenlets())
    made.close()


def test_a_new_loop_is_spotless(loop: HubLoop):
    """And it still is after a run that left nothing behind."""
    assert loop.is_spotless()
    loop.run_until_complete(asyncio.sleep(0))
    assert loop.is_spotless()
    assert loop.tasks_made == 1


LEFT: dict[str, Callable[[Any, socket.socket], object]] = {
    "a timer": lambda loop, end: loop.call_later(3600, print),
    "a reader": lambda loop, end: loop.add_reader(end, print),
    "a callback": lambda loop, end: loop.call_soon(print),
    "a task factory": lambda loop, end: loop.set_task_factory(print),
    "an exception handler": lambda loop, end: loop.set_exception_handler(print),
    "debug mode": lambda loop, end: loop.set_debug(True),
}


@pytest.fixture
def end() -> Iterator[socket.socket]:
    """One of two connected sockets."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours


@pytest.mark.parametrize("left", LEFT)
def test_a_loop_that_something_was_left_on_is_not_spotless(
    end: socket.socket, loop: HubLoop, left: str
):
    """The next run would meet it."""
    LEFT[left](loop, end)
    assert not loop.is_spotless()


def test_a_timer_that_was_cancelled_is_nothing_left_behind(loop: HubLoop):
    """As of a ``wait_for`` that ended in time."""
    loop.call_later(3600, lambda: None).cancel()
    assert loop.is_spotless()


def test_a_parked_loop_is_as_good_as_closed(loop: HubLoop):
    """Nobody may use it between two runs; it goes on when it is taken again."""
    loop.is_parked = True
    assert loop.is_closed()
    with pytest.raises(RuntimeError, match="closed"):
        loop.call_soon_threadsafe(lambda: None)
    with pytest.raises(RuntimeError, match="closed"):
        loop.run_in_executor(None, lambda: None)
    loop.is_parked = False
    assert not loop.is_closed()
    assert loop.run_until_complete(asyncio.sleep(0, "on")) == "on"


def test_a_call_without_an_executor_runs_in_a_greenlet_of_its_own(loop: HubLoop):
    """In this thread, beside the loop."""

    async def main() -> Any:
        return await loop.run_in_executor(None, gevent.getcurrent)

    greenlet = loop.run_until_complete(main())
    assert isinstance(greenlet, gevent.Greenlet)
    until(lambda: not loop.has_greenlets(), "ended")
    assert loop.is_at_rest()


def test_calls_of_the_single_thread_run_in_one_greenlet(loop: HubLoop):
    """One after the other, as asgiref has them in one thread; it ends with the run."""
    single = SingleThread(1)

    async def main() -> list[Any]:
        calls = [loop.run_in_executor(single, gevent.getcurrent) for _ in range(3)]
        return await asyncio.gather(*calls)

    (first,) = set(loop.run_until_complete(main()))
    until(lambda: first.dead, "the worker ended with the run")
    (second,) = set(loop.run_until_complete(main()))
    assert second is not first
    assert not single._threads


def test_an_executor_of_the_user_s_is_used(loop: HubLoop):
    """A call goes to the executor that it names, or to the one that was set for all."""
    with ThreadPoolExecutor(1) as executor:
        here = executor.submit(gevent.getcurrent).result()

        async def main(given: Any) -> Any:
            return await loop.run_in_executor(given, gevent.getcurrent)

        assert loop.run_until_complete(main(executor)) is here
        loop.set_default_executor(executor)
        assert loop.run_until_complete(main(None)) is here
        assert loop.has_executor()
        assert not loop.is_spotless()


def test_the_end_waits_for_calls_that_run_in_greenlets(loop: HubLoop):
    """``shutdown_default_executor()`` returns when the last one has ended."""
    go_on, ended = Event(), []

    def work(number: int) -> None:
        go_on.wait()
        ended.append(number)

    async def main() -> None:
        for number in range(3):
            loop.run_in_executor(None, work, number)
        loop.call_later(0, go_on.set)
        await loop.shutdown_default_executor()
        assert sorted(ended) == [0, 1, 2]

    loop.run_until_complete(main())
    assert not loop.has_greenlets()
    loop._executor_shutdown_called = False


def test_a_callback_of_another_greenlet_ends_the_wait(loop: HubLoop):
    """No byte has to go through a socket for it; from another thread one does."""

    async def main() -> list[str]:
        came: asyncio.Queue[str] = asyncio.Queue()
        gevent.spawn(loop.call_soon_threadsafe, came.put_nowait, "from a greenlet")
        first = await came.get()
        gevent.spawn(offload, loop.call_soon_threadsafe, came.put_nowait, "from a thread")
        return [first, await came.get()]

    assert loop.run_until_complete(main()) == ["from a greenlet", "from a thread"]


def test_generators_are_closed_and_new_ones_allowed(loop: HubLoop):
    """A loop that is used again has no generator of its last run."""
    closed: list[str] = []

    async def numbers(name: str) -> Any:
        try:
            yield name
        finally:
            closed.append(name)

    async def main(name: str) -> Any:
        generator = numbers(name)
        await anext(generator)
        return generator

    for name in ("first", "second"):
        kept = loop.run_until_complete(main(name))
        assert not loop.is_at_rest()
        loop.end_asyncgens()
        assert loop.is_at_rest()
        assert closed[-1] == name
        del kept
