"""``gather`` and ``map_each``: many calls at once, results in order."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from concurrency import context
from concurrency.errors import TaskCancelled
from concurrency.tasks.child import Child
from concurrency.tasks.children import Children

T = TypeVar("T")
R = TypeVar("R")

logger = logging.getLogger("concurrency.tasks")


def report_others(first: BaseException, others: list[BaseException]) -> None:
    """Add further failures as notes to the one that is raised, and log them."""
    for other in others:
        if other is not first:
            first.add_note(f"another call failed too: {other!r}")
            logger.error("another call failed too: %r", other, exc_info=other)


class _FirstFailure(Children):
    """Raises the first failure as itself, with the others as its notes."""

    def failure(self, failures: list[BaseException]) -> BaseException:
        first, *others = failures
        report_others(first, others)
        return first


class _Tolerant(_FirstFailure):
    """Treats errors as results."""

    def is_failure(self, error: BaseException) -> bool:
        return not isinstance(error, Exception)


def gather(
    *callables: Callable[[], T],
    limit: int | None = None,
    return_exceptions: bool = False,
) -> list[T]:
    """Call several functions at once and return their results in order.

    The first failure is raised as itself, with its own traceback, after the
    other calls have been cancelled and have ended; further failures are added to
    it as notes and logged.

    Args:
        callables: functions without arguments; ``functools.partial`` binds some.
        limit: how many may run at the same time; None means all.
        return_exceptions: return errors in the place of results; cancel no call.

    Raises:
        Exception: what the first call to fail raised.
        TaskCancelled: a call was killed from outside.
        ValueError: ``limit`` is less than 1.
    """
    for number, fn in enumerate(callables):
        if not callable(fn):
            raise TypeError(
                f"gather: argument {number} is {fn!r}, which cannot be called: pass the "
                f"function itself, not its result"
            )
    return _collect(((fn, ()) for fn in callables), limit, return_exceptions)


def map_each(
    fn: Callable[[T], R],
    items: Iterable[T],
    *,
    limit: int | None,
    return_exceptions: bool = False,
) -> list[R]:
    """Call ``fn`` with each item, several at once; return the results in order.

    An item is taken from ``items`` only when its call can start. Failures are
    handled as in ``gather``; what ``items`` itself raises counts as one.

    Args:
        fn: the function to call.
        items: any iterable, even an infinite one.
        limit: how many calls may run at the same time; None means all.
        return_exceptions: return errors in the place of results; cancel no call.

    Raises:
        Exception: what the first call to fail raised.
        TaskCancelled: a call was killed from outside.
        ValueError: ``limit`` is less than 1.
    """
    return _collect(((fn, (item,)) for item in items), limit, return_exceptions)


def _collect(
    calls: Iterator[tuple[Callable[..., R], tuple[Any, ...]]],
    limit: int | None,
    return_exceptions: bool,
) -> list[R]:
    children = (_Tolerant if return_exceptions else _FirstFailure)(limit)
    inherited = context.capture()
    started: list[Child[R]] = []
    with children:
        while True:
            children.wait_for_room()
            call = next(calls, None)
            if call is None:
                break
            fn, args = call
            started.append(children.start(fn, args, {}, inherited))
    if not return_exceptions:
        return [child.result() for child in started]
    return [_outcome(child) for child in started]


def _outcome(child: Child[R]) -> Any:
    try:
        return child.result()
    except TaskCancelled as error:
        return error
    except Exception as error:  # noqa: BLE001 - asked for in the place of a result
        return error
