"""``Task``: the public interface of one call of a ``TaskGroup``."""

from __future__ import annotations

from typing import Generic, TypeVar

from concurrency.tasks.child import Child

T_co = TypeVar("T_co", covariant=True)


class Task(Generic[T_co]):
    """A call that runs in a greenlet of its own, made by ``TaskGroup.spawn``."""

    __slots__ = ("_child",)

    def __init__(self, child: Child[T_co]) -> None:
        self._child = child

    def done(self) -> bool:
        """Return whether the task has ended, in whatever way."""
        return self._child.is_done()

    def result(self) -> T_co:
        """Wait for the task and return what the call returned.

        Raises:
            TaskCancelled: the task was cancelled.
            BaseException: what the call raised.
        """
        return self._child.result()

    def exception(self) -> BaseException | None:
        """Wait for the task and return what the call raised, or None.

        Raises:
            TaskCancelled: the task was cancelled.
        """
        return self._child.exception()

    def cancel(self) -> None:
        """Ask the task to end: ``gevent.GreenletExit`` is raised where it waits.

        Does not wait for it. A task that has ended is not changed.
        """
        self._child.cancel()

    def __repr__(self) -> str:
        return repr(self._child)
