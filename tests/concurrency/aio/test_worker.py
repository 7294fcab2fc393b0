"""A worker runs calls in the greenlet that waits for a coroutine, and ends with it."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from typing import Any

import gevent
import pytest
from gevent.event import Event

from concurrency import offload
from concurrency.aio import worker as module
from concurrency.aio.loop import HubLoop
from concurrency.aio.worker import LoopWorker, Worker
from tests.helpers import until


class Serving:
    """A greenlet that serves a worker until ``end`` is done."""

    def __init__(self, outer: Worker | None = None) -> None:
        self.end: Future[None] = Future()
        self._ready = Event()
        self._outer = outer
        self.greenlet = gevent.spawn(self._serve)
        self._ready.wait()

    def _serve(self) -> None:
        self.worker = Worker(self._outer)
        self._ready.set()
        self.worker.run_until_future(self.end)

    def finish(self) -> None:
        if not self.end.done():
            self.end.set_result(None)
        self.greenlet.join(timeout=15)


def test_calls_run_in_order_in_the_greenlet_that_waits():
    """Whoever submits them, another native thread too."""
    serving = Serving()
    seen: list[Any] = []
    calls = [serving.worker.submit(seen.append, number) for number in range(3)]
    offload(serving.worker.submit, seen.append, 3)
    where = serving.worker.submit(gevent.getcurrent)
    serving.finish()
    assert seen == [0, 1, 2, 3]
    assert where.result(timeout=0) is serving.greenlet
    assert all(call.done() for call in calls)


def test_calls_that_came_before_the_end_are_run():
    """What was taken is done, also when the future is done at the same moment."""
    serving = Serving()
    call = serving.worker.submit(lambda: 7)
    serving.finish()
    assert call.result(timeout=0) == 7


def test_a_worker_that_is_over_refuses_calls():
    """Nobody would run them."""
    serving = Serving()
    serving.finish()
    with pytest.raises(RuntimeError, match="quit or is broken"):
        serving.worker.submit(lambda: None)
    assert serving.worker.waiting_greenlet() is None


def test_a_worker_that_is_over_hands_calls_to_the_one_around_it():
    """As for a task that outlives the coroutine that started it."""
    outer = Serving()
    inner = Serving(outer.worker)
    inner.finish()
    call = inner.worker.submit(gevent.getcurrent)
    outer.finish()
    assert call.result(timeout=0) is outer.greenlet


def test_a_worker_that_stays_open_takes_calls_between_two_futures():
    """They run when it waits for the next one."""
    done: list[str] = []

    def serve() -> None:
        worker = Worker()
        worker.stays_open = True
        for name in ("first", "second"):
            end: Future[None] = Future()
            end.set_result(None)
            gevent.spawn(worker.submit, done.append, name).join()
            worker.run_until_future(end)

    gevent.spawn(serve).join(timeout=15)
    assert done == ["first", "second"]


def test_its_own_greenlet_cannot_submit():
    """It would wait for itself."""
    refused = []

    def serve() -> None:
        worker = Worker()
        with pytest.raises(RuntimeError, match="own thread"):
            worker.submit(lambda: None)
        refused.append(True)

    gevent.spawn(serve).join(timeout=15)
    assert refused == [True]


def test_another_greenlet_cannot_run_it():
    """Calls belong to the greenlet that waits."""
    serving = Serving()
    with pytest.raises(RuntimeError, match="different thread"):
        serving.worker.run_until_future(Future())
    serving.finish()


def test_a_call_that_fails_leaves_the_worker_running():
    """The error is raised where the call is awaited."""
    serving = Serving()
    failed = serving.worker.submit(lambda: 1 / 0)
    worked = serving.worker.submit(lambda: 7)
    serving.finish()
    assert isinstance(failed.exception(timeout=0), ZeroDivisionError)
    assert worked.result(timeout=0) == 7
    assert serving.greenlet.successful()


def test_a_call_that_was_cancelled_before_its_turn_is_not_run():
    """Nobody wants its result."""
    serving = Serving()
    ran: list[str] = []
    first = serving.worker.submit(ran.append, "first")
    second = serving.worker.submit(ran.append, "second")
    assert second.cancel()
    serving.finish()
    assert first.done()
    assert ran == ["first"]


def test_a_coroutine_that_does_not_end_is_cancelled_again(monkeypatch):
    """Each time after twice the interval, until it ends; then the kill goes on."""
    monkeypatch.setattr(module, "_CANCEL_AGAIN", 0.001)
    loop, cancelled, begun = HubLoop(), [], Event()

    async def stubborn() -> None:
        begun.set()
        while len(cancelled) < 3:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(True)

    def serve() -> None:
        worker = Worker()
        end: Future[None] = Future()

        async def main() -> None:
            await worker.watch(stubborn())
            end.set_result(None)

        runs = gevent.spawn(loop.run_until_complete, main())
        try:
            worker.run_until_future(end)
        finally:
            runs.join(timeout=15)

    greenlet = gevent.spawn(serve)
    assert begun.wait(15)
    greenlet.kill(timeout=15)
    loop.close()
    assert len(cancelled) == 3
    assert isinstance(greenlet.value, gevent.GreenletExit)


def test_a_worker_of_a_loop_ends_when_its_calls_are_done():
    """It has no future to wait for; ``stop()`` may come twice."""
    worker, done = LoopWorker(), []
    worker.submit(done.append, 1)
    worker.stop()
    worker.stop()
    until(lambda: worker.is_over, "over")
    assert done == [1]
    with pytest.raises(RuntimeError):
        worker.submit(done.append, 2)


def test_a_killed_worker_of_a_loop_is_over():
    """The loop starts another one."""
    worker = LoopWorker()
    gevent.sleep(0)
    worker._greenlet.kill(timeout=15)
    assert worker.is_over
