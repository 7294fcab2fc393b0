"""``TaskGroup``: structured concurrency."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import ParamSpec, TypeVar

from concurrency import context
from concurrency.tasks.children import Children
from concurrency.tasks.task import Task

__all__ = ["TaskGroup"]

P = ParamSpec("P")
T = TypeVar("T")


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
        TypeError: ``limit`` is not a whole number.
        ValueError: ``limit`` is less than 1.
    """

    __slots__ = ("_children",)

    def __init__(self, limit: int | None = None) -> None:
        self._children = Children(limit)

    def __enter__(self) -> TaskGroup:
        self._children.__enter__()
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
        return Task(self._children.start(fn, args, kwargs, context.capture()))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        return self._children.__exit__(kind, error, trace)
