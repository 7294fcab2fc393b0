"""Which greenlet started which, and which waits for which.

A child knows its ancestors through its context. A greenlet that waits through the verbs of
``tasks`` registers the children that it waits for. The database uses both: a pool detects
waiters that can never be served, and a child detects that its parent's transaction is hidden
from it.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import Context, ContextVar
from typing import Any, NamedTuple

from gevent import getcurrent

from concurrency import hooks

__all__ = [
    "Ancestry",
    "ancestors",
    "ancestry",
    "become_parent",
    "forget_waits",
    "nearest",
    "started_for_others",
    "waiting",
    "waiting_for",
    "works_for",
]


class Ancestry(NamedTuple):
    """The greenlet that started another, and its own ancestry.

    Attributes:
        greenlet: the parent.
        outer: the ancestry of the parent.
        waits: whether the parent always waits; if False, look in ``waiting``.
    """

    greenlet: weakref.ref[Any]
    outer: Ancestry | None
    waits: bool = False

    def is_waiting(self) -> bool:
        """Return whether this ancestor waits for its children."""
        return self.waits or self.greenlet() in waiting


#: The ancestors of the current greenlet.
ancestry: ContextVar[Ancestry | None] = ContextVar("concurrency.ancestry", default=None)

#: The same for greenlets that run in a copy of another one's context, as asyncio's threads do.
#: A plain dictionary: it is looked at for each lease.
started_for_others: dict[weakref.ref[Any], Ancestry] = {}

#: Greenlets that wait for others, each with a function that returns those others.
waiting: dict[Any, Callable[[], Iterable[Any]]] = {}


def nearest() -> Ancestry | None:
    """Return the parent of the current greenlet and its ancestry."""
    return started_for_others.get(weakref.ref(getcurrent())) or ancestry.get()


def ancestors(greenlet: Any = None) -> Iterator[Ancestry]:
    """Yield the ancestors of a greenlet, the nearest first.

    Args:
        greenlet: the current one or a suspended one; None means the current one. A
            greenlet that runs in another native thread has none that can be seen.
    """
    is_current = greenlet is None or greenlet is getcurrent()
    ancestor = nearest() if is_current else _nearest_of(greenlet)
    while ancestor is not None:
        yield ancestor
        ancestor = ancestor.outer


def _nearest_of(greenlet: Any) -> Ancestry | None:
    found = started_for_others.get(weakref.ref(greenlet))
    if found is None:
        with suppress(ValueError):  # it runs in another thread at this moment
            variables: Context | None = greenlet.gr_context
            found = None if variables is None else variables.get(ancestry)
    return found


def become_parent() -> None:
    """Make this greenlet the parent of those that start in a copy of the current context.

    Ancestors that have ended are left out, so that work that starts itself again and again
    does not accumulate them.
    """
    ancestry.set(Ancestry(weakref.ref(getcurrent()), _first_living(nearest())))


def works_for(greenlet: Any, waiter: Any) -> None:
    """Make a greenlet the child of one that waits for the coroutine that starts it."""
    key = weakref.ref(greenlet, _forget_started)
    started_for_others[key] = Ancestry(
        weakref.ref(waiter), _first_living(ancestry.get()), waits=True
    )


def _forget_started(greenlet: weakref.ref[Any]) -> None:
    started_for_others.pop(greenlet, None)


def _first_living(ancestor: Ancestry | None) -> Ancestry | None:
    while ancestor is not None:
        greenlet = ancestor.greenlet()
        if greenlet is not None and not greenlet.dead:
            break
        ancestor = ancestor.outer
    return ancestor


@contextmanager
def waiting_for(children: Callable[[], Iterable[Any]]) -> Iterator[None]:
    """Register that the current greenlet waits for its children inside the block.

    Args:
        children: returns the greenlets that are waited for.
    """
    greenlet = getcurrent()
    waiting[greenlet] = children
    try:
        hooks.run(hooks.before_wait)
        yield
    finally:
        waiting.pop(greenlet, None)


def forget_waits() -> None:
    """Clear ``waiting``; for a child process, in which the greenlets do not run."""
    waiting.clear()
