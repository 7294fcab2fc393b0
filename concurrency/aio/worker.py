"""A greenlet that waits for a coroutine, and runs the coroutine's sync code meanwhile.

``sync_to_async`` code of an asynchronous view runs in the request's own greenlet, and
so on its connection and in its transaction: asgiref delegates it to the greenlet that
waits in ``async_to_sync``. A kill or a deadline of that greenlet cancels the coroutine,
and a cancelled coroutine interrupts the call that it awaits. Supports asyncio's loops
only.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor, Future
from functools import partial
from typing import Any, TypeVar

import gevent
from gevent.hub import Waiter, get_hub

from concurrency import hooks
from concurrency.aio.calls import Call
from concurrency.compat.asgiref import executors
from concurrency.compat.gevent import get_hub_if_exists
from concurrency.interruptions import INTERRUPTIONS

T = TypeVar("T")

logger = logging.getLogger("concurrency.aio")

# A coroutine that has not ended this many seconds after it was cancelled is cancelled
# again; the interval doubles.
_CANCEL_AGAIN = 1.0


class Worker(Executor):
    """Runs calls in the greenlet that waits for a coroutine.

    Replaces asgiref's ``CurrentThreadExecutor``.

    Args:
        outer: the worker of a call that is running in the same greenlet.
    """

    def __init__(self, outer: Worker | None = None) -> None:
        self._greenlet: Any = gevent.getcurrent()
        self._hub: Any = get_hub()
        self._outer = outer
        self._calls: deque[Call | Callable[[], None]] = deque()
        self._waiter: Any = None
        self._is_over = False
        self._must_lend = False
        #: Whether it accepts calls between the futures that it waits for.
        self.stays_open = False
        self._task: asyncio.Task[Any] | None = None
        self._is_cancelled = False

    # In the greenlet of a loop

    def post(self, loop: asyncio.AbstractEventLoop, fn: Callable[[], Any]) -> asyncio.Future[Any]:
        """Queue a function, and return the loop's future for it."""
        call = Call(loop, fn)
        self._put(call)
        return call

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Queue a function; for loops other than ``HubLoop``."""
        future: Future[T] = Future()
        self._put(partial(_run_for, future, partial(fn, *args, **kwargs)))
        return future

    def _put(self, call: Call | Callable[[], None]) -> None:
        if gevent.getcurrent() is self._greenlet:
            raise RuntimeError("You cannot submit onto CurrentThreadExecutor from its own thread")
        if not self.take(call):
            raise RuntimeError("CurrentThreadExecutor already quit or is broken")

    def take(self, call: Call | Callable[[], None]) -> bool:
        """Queue a call here, or in the outer worker; return False if both have ended."""
        if self._is_over and not self.stays_open:
            return self._outer is not None and self._outer.take(call)
        self._calls.append(call)
        self._wake()
        return True

    def waiting_greenlet(self) -> Any:
        """Return the greenlet that waits for a coroutine, None if none does any more."""
        return None if self._is_over else self._greenlet

    async def watch(self, awaitable: Awaitable[T]) -> T:
        """Await a coroutine on behalf of this worker, so that it can be cancelled."""
        task = self._task = asyncio.current_task()
        if self._is_cancelled and task is not None:
            task.cancel()
        self._lend_when_idle(asyncio.get_running_loop())
        try:
            return await awaitable
        finally:
            self._task = None

    def _lend_when_idle(self, loop: Any) -> None:
        """Lend idle connections to others once the loop waits."""
        getattr(loop, "lends_when_idle", Worker.lend)(self)

    def lend(self) -> None:
        """Make the greenlet lend its idle connections, if it waits."""
        if self._waiter is not None:
            self._must_lend = True
            self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is None:
            return
        here: Any = get_hub_if_exists()
        if here is self._hub:
            self._hub.loop.run_callback(waiter.switch, None)
        else:
            self._hub.loop.run_callback_threadsafe(waiter.switch, None)

    # In the greenlet that waits

    def run_until_future(self, future: Future[Any]) -> None:
        """Run calls until a future is done; can be called repeatedly.

        Raises:
            BaseException: what was thrown into this greenlet meanwhile; by then the
                coroutine has been cancelled and has ended.
        """
        if gevent.getcurrent() is not self._greenlet:
            raise RuntimeError("You cannot run CurrentThreadExecutor from a different thread")
        self._is_over = False
        future.add_done_callback(self._over)
        interruption: BaseException | None = None
        patience = _CANCEL_AGAIN
        while True:
            try:
                if not self._wait(patience if interruption is not None else None):
                    logger.warning("%r has not ended, cancelling it again", self._task)
                    patience *= 2
                    self._cancel()
                    continue
                if not self._calls:
                    break
                call = self._calls.popleft()
                if isinstance(call, Call):
                    call.run()
                    self._lend_when_idle(call.get_loop())
                else:
                    call()
            except BaseException as error:  # noqa: BLE001 - kept, and raised at the end
                interruption = interruption or error
                self._cancel()
        if interruption is not None:
            raise interruption

    def _over(self, future: Future[Any]) -> None:
        self._is_over = True
        self._wake()

    def _cancel(self) -> None:
        self._is_cancelled = True
        task = self._task
        if task is not None:
            task.get_loop().call_soon_threadsafe(task.cancel)

    def _wait(self, limit: float | None) -> bool:
        """Wait for a call or the end; return whether one came within the limit, in seconds."""
        timer = None
        try:
            while not self._calls and not self._is_over:
                if self._must_lend:
                    self._must_lend = False
                    hooks.run(hooks.before_wait)
                    continue
                if limit is not None and timer is None:
                    timer = self._hub.loop.timer(limit)
                    timer.start(self._wake)
                elif timer is not None and not timer.active:
                    return False
                self._block()
            return True
        finally:
            if timer is not None:
                timer.close()

    def _block(self) -> None:
        waiter: Any = Waiter(self._hub)
        self._waiter = waiter
        try:
            # Another native thread may have queued a call before it could see the waiter.
            if not self._calls and not self._is_over:
                waiter.get()
        finally:
            self._waiter = None


def waiting_greenlet() -> Any:
    """Return the greenlet that waits for the running coroutine, or None."""
    worker = getattr(executors, "current", None)
    return worker.waiting_greenlet() if isinstance(worker, Worker) else None


def _run_for(future: Future[T], fn: Callable[[], T]) -> None:
    """Call a function, and set the outcome of a thread's future."""
    if not future.set_running_or_notify_cancel():
        return
    try:
        value = fn()
    except INTERRUPTIONS as error:
        future.set_exception(asyncio.CancelledError())
        raise error
    except BaseException as error:  # noqa: BLE001 - raised where it is awaited
        future.set_exception(error)
    else:
        future.set_result(value)


class LoopWorker(Worker):
    """A greenlet for calls that have no greenlet to return to.

    Under ``asyncio.run`` no greenlet waits in ``async_to_sync``. All calls of a loop run
    in one greenlet, as asgiref runs them in one thread.
    """

    def __init__(self) -> None:
        super().__init__()
        self._end: Future[None] = Future()
        self._greenlet = gevent.spawn(self._serve)

    @property
    def is_over(self) -> bool:
        """Whether it accepts no more calls."""
        return self._is_over or self._greenlet.dead

    def _serve(self) -> None:
        try:
            self.run_until_future(self._end)
        finally:
            self._is_over = True
            hooks.run(hooks.at_end)

    def stop(self) -> None:
        """End when the queued calls are done."""
        if not self._end.done():
            self._end.set_result(None)

    def _cancel(self) -> None:
        self.stop()  # it waits for no coroutine, so an interruption ends the worker itself
