"""Runs a coroutine to its end on a reusable loop.

Creating a loop takes longer than running most coroutines. A loop that is left in the state
of a new one serves the next coroutine of any greenlet. Any other loop is closed, or kept
for greenlets that want the same loop again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextvars import ContextVar
from typing import Any, TypeVar

from concurrency.aio.loop import HubLoop
from concurrency.hub.callbacks import outside_hub
from concurrency.hub.per_hub import per_hub

T = TypeVar("T")

# Number of idle loops that a thread keeps; each has two sockets.
_KEPT = 100


class Kept:
    """Loops that one tree of greenlets keeps, with the connections that are open on them."""

    def __init__(self) -> None:
        self._loops: list[HubLoop] = []
        self._is_over = False

    def take(self) -> HubLoop:
        """Return the idle loop that was used last."""
        return self._loops.pop() if self._loops else HubLoop()

    def give_back(self, loop: HubLoop) -> None:
        """Keep a loop for the next coroutine."""
        if self._is_over or not loop.is_at_rest():
            close(loop)
        else:
            loop.is_parked = True
            self._loops.append(loop)

    def end(self, greenlet: object = None) -> None:
        """Close the loops, which are no longer needed."""
        self._is_over = True
        while self._loops:
            loop = self._loops.pop()
            loop.is_parked = False
            if loop.is_spotless():
                loop.close()
            else:
                # Closing can log, or wait for a lock, and this can run in the hub.
                outside_hub(loop.close)


#: The loops to run on, if particular ones are wanted.
kept: ContextVar[Kept | None] = ContextVar("concurrency.aio.kept", default=None)


class _Idle(Kept):
    """The idle loops of a native thread, each in the state of a new one."""

    def give_back(self, loop: HubLoop) -> None:
        if loop.is_spotless() and len(self._loops) < _KEPT:
            super().give_back(loop)
        else:
            close(loop)


def run(loops: Kept, main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in this greenlet, as ``asyncio.run`` does.

    Raises:
        RuntimeError: a loop is running in this greenlet.
        BaseException: what the coroutine raised.
    """
    loop = loops.take()
    loop.is_parked = False
    try:
        return run_on(loop, main)
    finally:
        loops.give_back(loop)


def run_on(loop: HubLoop, main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a loop, and leave no task behind on it."""
    loop.tasks_made = 0
    task = loop.create_task(main)
    try:
        return loop.run_until_complete(task)  # type: ignore[no-any-return]
    finally:
        tidy(loop)


def tidy(loop: HubLoop) -> None:
    """Cancel the tasks that a coroutine has left behind, and wait for them."""
    if loop.tasks_made > 1 and (left := asyncio.all_tasks(loop)):
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        for task in left:
            if not task.cancelled() and (error := task.exception()) is not None:
                loop.call_exception_handler(
                    {
                        "message": "unhandled exception of a task that was left behind",
                        "exception": error,
                        "task": task,
                    }
                )
    loop.end_asyncgens()
    if loop.has_greenlets():
        loop.run_until_complete(loop.join_greenlets())


def serve(loop: HubLoop) -> None:
    """Run a loop until it is stopped, cancel its remaining tasks, and close it."""
    try:
        loop.tasks_made = 2  # makes tidy() look for remaining tasks
        loop.run_forever()
        tidy(loop)
    finally:
        close(loop)


def close(loop: HubLoop) -> None:
    """Close a loop permanently."""
    try:
        if loop.has_executor():
            loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()


def loops_to_run_on() -> Kept:
    """Return the loops wanted in this context, or the thread's idle ones."""
    wanted = kept.get()
    if wanted is not None:
        return wanted
    return per_hub("concurrency.aio.runner", lambda _: _Idle())
