"""Who started a greenlet, and who waits for whom.

A child knows the greenlets that started it through its context, and a greenlet that waits
through our verbs says for which others. The database asks: a pool finds out whether its
waiters can ever go on, and a child whether a transaction of its parent is hidden from it.
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
    """Who started a greenlet, and who started that one.

    Attributes:
        greenlet: the one that did.
        outer: who started that one.
        waits: whether it waits for its child in any case; otherwise ``waiting`` tells.
    """

    greenlet: weakref.ref[Any]
    outer: Ancestry | None
    waits: bool = False

    def is_waiting(self) -> bool:
        """Return whether this ancestor waits for what it has started."""
        return self.waits or self.greenlet() in waiting


#: The greenlets that this one is a child of, the nearest first.
ancestry: ContextVar[Ancestry | None] = ContextVar("concurrency.ancestry", default=None)

#: The same for greenlets that run in a copy of another one's context, as asyncio's threads do.
#: A plain dictionary: it is looked at for each lease.
started_for_others: dict[weakref.ref[Any], Ancestry] = {}

#: Greenlets that wait for others through our verbs, and how to ask for which ones.
waiting: dict[Any, Callable[[], Iterable[Any]]] = {}


def nearest() -> Ancestry | None:
    """Return who started this greenlet."""
    return started_for_others.get(weakref.ref(getcurrent())) or ancestry.get()


def ancestors(greenlet: Any = None) -> Iterator[Ancestry]:
    """Yield who started a greenlet, who started that one, and so on.

    Args:
        greenlet: this one or a suspended one; None means this one. Of one that runs in
            another native thread nothing is known.
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
    """Say that this greenlet waits for its children inside the block.

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
    """Forget who waits for whom; in a child process, where the greenlets do not run."""
    waiting.clear()
