"""``Children``: the calls that one owner has started and waits for.

``child.py`` runs one call; this module decides when calls start, how a failure affects the
others, and what is raised.
"""

from __future__ import annotations

import logging
import traceback
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

import gevent
from gevent.event import Event
from gevent.hub import get_hub
from greenlet import greenlet

from concurrency import kinship
from concurrency.context import Inherited
from concurrency.errors import TaskCancelled
from concurrency.interruptions import Interruption
from concurrency.tasks.child import Child

__all__ = ["Children"]

T = TypeVar("T")

logger = logging.getLogger("concurrency.tasks")


class _SiblingFailed(Interruption):
    """Thrown into the block of an owner when one of its calls has failed."""


class Children:
    """The calls of one ``with`` block, none of which outlives it; see ``TaskGroup``.

    Subclasses decide what a failure is, and what is raised for it.

    Args:
        limit: how many calls may run at the same time, at least 1; None means no limit.

    Attributes:
        patience: seconds after which a call that has not ended after a cancel is cancelled
            again; the interval doubles, so that slow cleanup is not disturbed too often.
    """

    patience = 1.0

    def __init__(self, limit: int | None = None) -> None:
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int)):
            raise TypeError(f"limit must be a whole number or None, not {limit!r}")
        if limit is not None and limit < 1:
            raise ValueError(f"limit must be at least 1, not {limit}: no task could ever start")
        self._limit = limit
        self._owner: greenlet | None = None
        self._in_body = False
        self._stopping = False
        self._interrupt = _SiblingFailed()
        self._unfinished: set[Child[Any]] = set()
        self._queue: deque[Child[Any]] = deque()
        self._running = 0
        self._started = 0
        self._failures: list[BaseException] = []
        self._change = Event()

    def __enter__(self) -> Children:
        if self._owner is not None:
            raise RuntimeError("this TaskGroup has been used: make a new one for each block")
        self._owner = gevent.getcurrent()
        self._in_body = True
        return self

    def start(
        self,
        fn: Callable[..., T],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        inherited: Inherited,
    ) -> Child[T]:
        """Start a call, or queue it while ``limit`` are running; the owner waits then.

        Raises:
            RuntimeError: the block has not been entered, or has been left.
            TaskCancelled: the calls of this block are being cancelled.
        """
        if self._owner is None or not (self._in_body or self._unfinished):
            raise RuntimeError("spawn inside the TaskGroup's with block, not before or after it")
        is_owner = self._in_body and gevent.getcurrent() is self._owner
        if self._stopping:
            if is_owner:
                raise self._interrupt
            raise TaskCancelled("the TaskGroup is being cancelled: it starts no more tasks")
        child = Child(self._finished, fn, args, kwargs, inherited)
        self._started += 1
        self._unfinished.add(child)
        self._queue.append(child)
        self._start_queued()
        if is_owner:
            self._wait_while(lambda: child in self._queue)
        return child

    def wait_for_room(self) -> None:
        """Wait until a call could start immediately; for the owner, inside the block."""
        self._wait_while(lambda: self._limit is not None and self._running >= self._limit)

    def _wait_while(self, condition: Callable[[], bool]) -> None:
        while condition():
            with kinship.waiting_for(self._greenlets):
                self._change.clear()
                self._change.wait()

    def _greenlets(self) -> list[gevent.Greenlet[..., None]]:
        running = [child.greenlet for child in self._unfinished]
        return [greenlet for greenlet in running if greenlet is not None]

    def _start_queued(self) -> None:
        while self._queue and (self._limit is None or self._running < self._limit):
            self._running += 1
            self._queue.popleft().start()

    def _finished(self, child: Child[Any], had_started: bool) -> None:
        """Record a child's end; each child calls it once, in its greenlet or in the hub."""
        self._unfinished.discard(child)
        if had_started:
            self._running -= 1
        error = child.error
        if error is not None and self.is_failure(error):
            self._failures.append(error)
            self._stop()
        elif not self._stopping:
            self._start_queued()
        self._change.set()

    def is_failure(self, error: BaseException) -> bool:
        """Return whether the error of a call ends the others."""
        return True

    def _stop(self) -> None:
        """Cancel all calls and interrupt the block, once."""
        if self._stopping:
            return
        self._stopping = True
        if self._in_body and gevent.getcurrent() is not self._owner:
            get_hub().loop.run_callback(self._interrupt_body)
        self._cancel_all()

    def _cancel_all(self) -> None:
        self._queue.clear()
        for child in list(self._unfinished):
            child.cancel()

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
        # A kill, a deadline, an exit: these propagate unchanged.
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
        """Return the exception to raise for the failures, which are in the order of time."""
        message = f"{len(failures)} failed of a TaskGroup with {self._started} tasks"
        return BaseExceptionGroup(message, failures)

    def _join(self) -> BaseException | None:
        """Wait for every call, even if interrupted; return the first interruption."""
        interruption: BaseException | None = None
        patience = self.patience
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
        for child in self._unfinished:
            logger.warning(
                "%r has not ended %g s after it was cancelled, cancelling it again:\n%s",
                child,
                seconds,
                "".join(traceback.format_stack(child.frame)),
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
