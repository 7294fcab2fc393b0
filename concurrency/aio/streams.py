"""Reads an asynchronous iterator from a greenlet, one item at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable, Iterator
from concurrent.futures import Future
from contextvars import copy_context
from functools import partial
from typing import Any, Generic, TypeVar, cast

import gevent

from concurrency.aio import runner
from concurrency.aio.loop import HubLoop
from concurrency.aio.worker import Worker
from concurrency.compat.asgiref import restore_context, use_executor

T = TypeVar("T")


def iterate(source: AsyncIterable[T]) -> Iterator[T]:
    """Yield the items of an asynchronous iterator, each one on demand.

    The iterator runs in one task from beginning to end. ``sync_to_async`` code in it runs
    in this greenlet, while this greenlet waits for an item. If this generator is closed
    early, it cancels the task and waits for its cleanup.

    Raises:
        BaseException: what the iterator raised, or what was thrown into this greenlet.
    """
    worker, loop = Worker(), HubLoop()
    worker.stays_open = True
    reader = _Reader(source)
    context = copy_context()
    context.run(use_executor, worker)
    started = partial(restore_context, context)
    ended: Future[None] = Future()
    loop.call_soon(lambda: loop.create_task(worker.watch(reader.read(started))))
    gevent.spawn(_serve, loop, ended)
    try:
        while True:
            answer = reader.ask(loop)
            worker.run_until_future(answer)
            if answer.result() is _END:
                return
            yield cast("T", answer.result())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        worker.run_until_future(ended)
        worker.stays_open = False


_END = object()


class _Reader(Generic[T]):
    """Reads one item for each request."""

    def __init__(self, source: AsyncIterable[T]) -> None:
        self._source = source
        self._asked = asyncio.Event()
        self._answer: Future[Any] = Future()

    def ask(self, loop: asyncio.AbstractEventLoop) -> Future[Any]:
        """Request the next item; called in the greenlet that waits for it."""
        self._answer = Future()
        loop.call_soon_threadsafe(self._asked.set)
        return self._answer

    async def read(self, started: Any) -> None:
        """Read the iterator; runs as the single task."""
        started()
        outcome: Callable[[], None] = partial(self._tell, _END)
        try:
            await self._was_asked()
            async for item in self._source:
                self._tell(item)
                await self._was_asked()
        except BaseException as error:  # noqa: BLE001 - raised where the item is asked for
            outcome = partial(self._fail, error)
        finally:
            # Close it now, while this greenlet runs its sync_to_async code, and not when
            # asyncio collects generators.
            if (aclose := getattr(self._source, "aclose", None)) is not None:
                await aclose()
        outcome()

    def _tell(self, item: object) -> None:
        self._answer.set_result(item)

    def _fail(self, error: BaseException) -> None:
        if not self._answer.done():
            self._answer.set_exception(error)

    async def _was_asked(self) -> None:
        await self._asked.wait()
        self._asked.clear()


def _serve(loop: HubLoop, ended: Future[None]) -> None:
    """Run the loop until it is stopped, then cancel its remaining tasks."""
    try:
        runner.serve(loop)
    finally:
        ended.set_result(None)
