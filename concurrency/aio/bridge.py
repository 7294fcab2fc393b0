"""Replaces the threads of asgiref with greenlets.

asgiref runs a coroutine in a thread of its own while the caller waits, and runs the
caller's ``sync_to_async`` code in the caller's thread. With greenlets the caller can be
interrupted, and then interrupts the coroutine; and a call needs no thread and no loop of
its own. The replaced parts are not public; ``install()`` checks that they exist.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial, wraps
from typing import Any, cast

import gevent

from concurrency.aio import runner
from concurrency.aio.loop import HubLoop, SingleThread
from concurrency.aio.worker import Worker
from concurrency.compat import asgiref as compat
from concurrency.compat.asyncio import make_loops_of


class LoopThread(Executor):
    """Replaces the executor in whose thread asgiref runs a loop.

    A coroutine gets a greenlet and a reused loop. Everything else, such as the calls of
    a ``ThreadSensitiveContext``, gets a thread, as in asgiref.
    """

    def __init__(self, max_workers: int = 1) -> None:
        self._max_workers = max_workers
        self._threads: ThreadPoolExecutor | None = None

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a coroutine in a greenlet; a function in the one thread."""
        if not compat.is_run(fn) or compat.must_stay_in_a_thread():
            if self._threads is None:
                self._threads = ThreadPoolExecutor(self._max_workers)
            return self._threads.submit(fn, *args, **kwargs)
        future = _Outcome()
        run = partial(runner.run, runner.loops_to_run_on()) if fn is asyncio.run else fn
        gevent.spawn(future.run, run, *args, **kwargs)
        return cast("Future[Any]", future)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the thread, if there is one."""
        if self._threads is not None:
            self._threads.shutdown(wait, cancel_futures=cancel_futures)


class _Outcome:
    """The part of a future that asgiref uses; a complete one has locks for threads."""

    __slots__ = ("_error", "_tell", "_value")

    def __init__(self) -> None:
        self._tell: Callable[[Any], object] | None = None
        self._value: Any = None
        self._error: BaseException | None = None

    def run(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Call a function; in a greenlet that has not begun when a callback is added."""
        try:
            self._value = fn(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001 - raised where the result is asked for
            self._error = error
        if self._tell is not None:
            self._tell(self)

    def add_done_callback(self, tell: Callable[[Any], object]) -> None:
        """Register a function to call at the end."""
        self._tell = tell

    def result(self) -> Any:
        """Return the call's result or raise its error; called only after its end."""
        if self._error is not None:
            raise self._error
        return self._value


def is_installed() -> bool:
    """Return whether asgiref uses greenlets."""
    return compat.executor_class() is Worker


def install() -> None:
    """Make asgiref use greenlets, and asyncio loops that wait on the hub.

    Idempotent. An asgiref with unknown internals is left alone: code works, but neither
    kills nor deadlines reach coroutines.
    """
    make_loops_of(HubLoop)
    if is_installed() or compat.NAMES.missing():
        return
    compat.replace(
        executor=Worker,
        loop_thread=LoopThread,
        single_thread=SingleThread(max_workers=1),
        watched=_watched,
        forgetting=_forgetting,
    )


def _watched(main_wrap: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """Make the worker of a call know the task that it waits for."""

    @wraps(main_wrap)
    def watched(self: Any, *args: Any, **kwargs: Any) -> Awaitable[None]:
        # Called in the greenlet that is about to wait; the returned coroutine runs in the loop.
        return compat.executors.current.watch(main_wrap(self, *args, **kwargs))  # type: ignore[no-any-return]

    return watched


def _forgetting(thread_handler: Callable[..., Any]) -> Callable[..., Any]:
    """Make a greenlet forget the loop when the loop no longer calls it.

    asgiref relies on the end of the loop for this, but a reused loop does not end.
    """

    @wraps(thread_handler)
    def forgetting(self: Any, *args: Any, **kwargs: Any) -> Any:
        known = compat.variables_of_call(self)
        before = dict(known)
        try:
            return thread_handler(self, *args, **kwargs)
        finally:
            known.clear()
            known.update(before)

    return forgetting
