"""An asyncio loop that runs in a greenlet, and waits on gevent's hub.

It is asyncio's own loop, except for the use of threads: functions of ``run_in_executor``
run in greenlets, and are interrupted when their future is cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import gevent

from concurrency import hooks, kinship
from concurrency.aio.calls import Call
from concurrency.aio.selector import HubSelector
from concurrency.aio.worker import LoopWorker, Worker, waiting_greenlet

# asyncio's default loop, which waits with a selector.
_Base: Any = asyncio.SelectorEventLoop


class SingleThread(ThreadPoolExecutor):
    """Stands for the single thread in which asgiref runs calls without a caller to return to.

    A ``HubLoop`` uses a greenlet of its own instead; other loops use the thread.
    """


class HubLoop(_Base):  # type: ignore[misc]
    """asyncio's loop, waiting on the hub.

    Attributes:
        tasks_made: how many tasks it has created.
        is_parked: whether its run is over and the next has not begun; it then refuses
            callbacks, as if it were closed.
    """

    _selector: Any

    def __init__(self, selector: Any = None) -> None:
        self.is_parked = False
        self._greenlets: set[gevent.Greenlet[..., Any]] = set()
        self._worker: LoopWorker | None = None
        self._holding: set[Worker] = set()
        self.tasks_made = 0
        super().__init__(selector or HubSelector())
        self._selector.before_wait = self._about_to_wait

    def create_task(self, coro: Any, **kwargs: Any) -> asyncio.Task[Any]:
        """Create a task, as in asyncio."""
        self.tasks_made += 1
        return super().create_task(coro, **kwargs)  # type: ignore[no-any-return]

    def run_forever(self) -> None:
        """Run until stopped, as in asyncio; the loop's worker ends with the run."""
        try:
            super().run_forever()
        finally:
            worker, self._worker = self._worker, None
            if worker is not None:
                worker.stop()

    def is_closed(self) -> bool:
        """Return whether it accepts no callbacks, for now or permanently."""
        return self.is_parked or bool(super().is_closed())

    def _check_closed(self) -> None:
        if self.is_parked:
            raise RuntimeError("Event loop is closed")
        super()._check_closed()

    def _write_to_self(self) -> None:
        # Only other native threads need to send a byte through the socket.
        if self._selector is None or not self._selector.wake():
            super()._write_to_self()

    def wake(self) -> bool:
        """End its wait, so that it runs pending callbacks.

        Returns:
            Whether this greenlet may schedule callbacks itself: not in another native
            thread, and not in debug mode, in which asyncio checks the scheduling thread.
        """
        return not self._debug and bool(self._selector.wake())

    def lends_when_idle(self, worker: Worker) -> None:
        """Record a greenlet that may lend its connections while it waits."""
        self._holding.add(worker)

    def _about_to_wait(self) -> None:
        while self._holding:
            self._holding.pop().lend()

    def run_in_executor(
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Run a function in a greenlet that serves coroutines, or in one of its own."""
        self._check_closed()
        if isinstance(executor, SingleThread):
            if self._worker is None or self._worker.is_over:
                self._worker = LoopWorker()
            executor = self._worker
        if isinstance(executor, Worker):
            return executor.post(self, partial(func, *args))
        if executor is None and self._default_executor is None:
            self._check_default_executor()
            return self._run_in_greenlet(Call(self, partial(func, *args)))
        return super().run_in_executor(executor, func, *args)  # type: ignore[no-any-return]

    def _run_in_greenlet(self, call: Call) -> asyncio.Future[Any]:
        greenlet = gevent.Greenlet(_run_and_end, call)
        if (waiter := waiting_greenlet()) is not None:
            kinship.works_for(greenlet, waiter)
        self._greenlets.add(greenlet)
        greenlet.rawlink(self._greenlets.discard)
        greenlet.start()
        return call

    async def shutdown_default_executor(self, *args: Any) -> None:
        """Wait for functions that run in greenlets, as asyncio waits for its threads."""
        await self.join_greenlets()
        await super().shutdown_default_executor(*args)

    async def join_greenlets(self) -> None:
        """Wait until no function of ``run_in_executor`` runs in a greenlet."""
        while self._greenlets:
            greenlet = next(iter(self._greenlets))
            ended = self.create_future()
            greenlet.rawlink(lambda _, ended=ended: self._tell(ended))  # type: ignore[misc]
            await ended

    def _tell(self, ended: asyncio.Future[None]) -> None:
        if not ended.done() and not self.is_closed():
            self.call_soon_threadsafe(ended.set_result, None)

    # Reuse

    def end_asyncgens(self) -> None:
        """Close the asynchronous generators that were left open, and allow new ones."""
        if self._asyncgens:
            self.run_until_complete(self.shutdown_asyncgens())
            self._asyncgens_shutdown_called = False

    def has_executor(self) -> bool:
        """Return whether it has an executor for calls that name none."""
        return self._default_executor is not None

    def has_greenlets(self) -> bool:
        """Return whether a function of ``run_in_executor`` runs in a greenlet."""
        return bool(self._greenlets)

    def is_at_rest(self) -> bool:
        """Return whether nothing from its last run is left; connections may be open."""
        return not (
            self._ready
            or self._greenlets
            or self._asyncgens
            or self._executor_shutdown_called
            or self._stopping
            or super().is_closed()
        )

    def is_spotless(self) -> bool:
        """Return whether it is in the state of a new loop."""
        if all(timer.cancelled() for timer in self._scheduled):
            self._scheduled.clear()
            self._timer_cancelled_count = 0
        changed = (
            self._scheduled
            or self._default_executor
            or self._task_factory
            or self._exception_handler
            or self._debug
            or self._signal_handlers
        )
        return not changed and self.is_at_rest() and self._selector.watches_at_most(1)


def _run_and_end(call: Call) -> None:
    try:
        call.run()
    finally:
        hooks.run(hooks.at_end)
