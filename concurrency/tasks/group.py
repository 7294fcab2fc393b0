"""Structured concurrency: ``TaskGroup``, and how its owner and its tasks meet.

``task.py`` has the life of one task; this module decides when tasks start, what
a failure means for the others, and what is raised.
"""

from __future__ import annotations

import logging
import traceback
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import ParamSpec, TypeVar

import gevent
from gevent.event import Event
from gevent.hub import get_hub
from greenlet import greenlet

from concurrency import context, kinship
from concurrency.errors import TaskCancelled
from concurrency.tasks.task import Task

__all__ = ["Task", "TaskGroup"]

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger("concurrency.tasks")

# A task that has not ended this many seconds after it was cancelled is cancelled
# again; the interval doubles, so that slow clean-up is not disturbed too often.
_CANCEL_AGAIN = 1.0


class _Interrupt(BaseException):
    """Thrown into the body of a group of which a task has failed."""


class TaskGroup:
    """Run tasks that do not outlive a ``with`` block.

    Leaving the block waits for all tasks. The first failure, of a task or of the
    block itself, cancels the other tasks and interrupts the block; when all have
    ended, one ``ExceptionGroup`` of all failures is raised. A cancelled task is
    not a failure. While it waits, the owner's idle database connections are lent
    to others.

    Args:
        limit: how many tasks may run at the same time, at least 1; None means
            no limit.

    Raises:
        ExceptionGroup: a task, or the block, has failed.
        ValueError: ``limit`` is less than 1.
    """

    def __init__(self, limit: int | None = None) -> None:
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int)):
            raise TypeError(f"limit must be a whole number or None, not {limit!r}")
        if limit is not None and limit < 1:
            raise ValueError(f"limit must be at least 1, not {limit}: no task could ever start")
        self.limit = limit
        self._owner: greenlet | None = None
        self._in_body = False
        self._stopping = False
        self._interrupt = _Interrupt()
        self._unfinished: set[Task[object]] = set()
        self._queue: deque[Task[object]] = deque()
        self._running = 0
        self._spawned = 0
        self._failures: list[BaseException] = []
        self._change = Event()

    def __enter__(self) -> TaskGroup:
        if self._owner is not None:
            raise RuntimeError("this TaskGroup has been used: make a new one for each block")
        self._owner = gevent.getcurrent()
        self._in_body = True
        return self

    def spawn(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Task[T]:
        """Start ``fn(*args, **kwargs)`` in a greenlet of its own.

        When ``limit`` tasks are running, the owner of the group waits until the
        new one can start; a task that spawns a sibling does not wait, the
        sibling is queued.

        Raises:
            RuntimeError: the block has not been entered, or has been left.
            TaskCancelled: the group is being cancelled.
        """
        return self.start(Task(self.finished, fn, args, kwargs, context.capture()))

    def start(self, task: Task[T]) -> Task[T]:
        """Admit a task; for verbs that are built on this class."""
        if self._owner is None or not (self._in_body or self._unfinished):
            raise RuntimeError("spawn inside the TaskGroup's with block, not before or after it")
        if self._stopping:
            if self._in_body and gevent.getcurrent() is self._owner:
                raise self._interrupt
            raise TaskCancelled("the TaskGroup is being cancelled: it starts no more tasks")
        self._spawned += 1
        self._unfinished.add(task)
        self._queue.append(task)
        self._start_queued()
        if self._in_body and gevent.getcurrent() is self._owner:
            self._wait_while(lambda: task in self._queue)
        return task

    def wait_for_room(self) -> None:
        """Wait until a task could start at once; for the owner, inside the block."""
        self._wait_while(lambda: self.limit is not None and self._running >= self.limit)

    def _wait_while(self, condition: Callable[[], bool]) -> None:
        while condition():
            with kinship.waiting_for(self._greenlets):
                self._change.clear()
                self._change.wait()

    def _greenlets(self) -> list[gevent.Greenlet[..., None]]:
        running = [task.greenlet for task in self._unfinished]
        return [greenlet for greenlet in running if greenlet is not None]

    def _start_queued(self) -> None:
        while self._queue and (self.limit is None or self._running < self.limit):
            self._running += 1
            self._queue.popleft().start()

    def finished(self, task: Task[T], had_started: bool) -> None:
        """Take note of a task's end; called once by each, in its greenlet or the hub."""
        self._unfinished.discard(task)
        if had_started:
            self._running -= 1
        error = task.error
        if error is not None and self.is_failure(error):
            self._failures.append(error)
            self._stop()
        elif not self._stopping:
            self._start_queued()
        self._change.set()

    def is_failure(self, error: BaseException) -> bool:
        """Return whether a task's error ends the group."""
        return True

    def _stop(self) -> None:
        """Cancel all tasks and interrupt the block, once."""
        if self._stopping:
            return
        self._stopping = True
        if self._in_body and gevent.getcurrent() is not self._owner:
            get_hub().loop.run_callback(self._interrupt_body)
        self._cancel_all()

    def _cancel_all(self) -> None:
        self._queue.clear()
        for task in list(self._unfinished):
            task.cancel()

    def _interrupt_body(self) -> None:
        """Throw into the owner; runs in the hub, so the owner is waiting."""
        if self._in_body and self._owner is not None:
            self._owner.throw(self._interrupt)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        self._in_body = False
        if error is not None and error is not self._interrupt:
            self._stop()
        stronger = self._join()
        if error is not None and error is not self._interrupt:
            if isinstance(error, Exception):
                if not any(error is known for known in self._failures):
                    self._failures.append(error)
            else:
                stronger = error
        # A kill, a deadline, an exit: these pass as they are.
        stronger = stronger or next((e for e in self._failures if _ends_the_process(e)), None)
        if stronger is None:
            if self._failures:
                _raise(self.failure(self._failures))
            return error is self._interrupt
        for failure in self._failures:
            if failure is not stronger:
                logger.error("task failed while its group was stopped: %r", failure)
        if stronger is not error:
            _raise(stronger)
        return False

    def failure(self, failures: list[BaseException]) -> BaseException:
        """Return what is raised for the failures, which are in the order of time."""
        message = f"{len(failures)} failed of a TaskGroup with {self._spawned} tasks"
        return BaseExceptionGroup(message, failures)

    def _join(self) -> BaseException | None:
        """Wait for every task, whatever happens; return the first interruption."""
        interruption: BaseException | None = None
        patience = _CANCEL_AGAIN
        while self._unfinished:
            try:
                with kinship.waiting_for(self._greenlets):
                    self._change.clear()
                    woken = self._change.wait(patience if self._stopping else None)
            except BaseException as error:  # noqa: BLE001 - kept, and raised when all have ended
                interruption = interruption or error
                self._stop()
                continue
            if not woken and self._unfinished:
                self._cancel_stubborn(patience)
                patience *= 2
        return interruption

    def _cancel_stubborn(self, seconds: float) -> None:
        for task in self._unfinished:
            logger.warning(
                "%r has not ended %.0f s after it was cancelled, cancelling it again:\n%s",
                task,
                seconds,
                "".join(traceback.format_stack(task.frame)),
            )
        self._cancel_all()


def _ends_the_process(error: BaseException) -> bool:
    return isinstance(error, SystemExit | KeyboardInterrupt)


def _raise(error: BaseException) -> None:
    """Raise an error without the private interrupt as its context."""
    known = error.__context__
    try:
        raise error
    finally:
        error.__context__ = known
