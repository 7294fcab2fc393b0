"""Tells a pool that is busy from one in which nobody can ever go on.

A pool is starved when every connection is held by a greenlet that waits, through
our verbs, for greenlets that wait for a connection of the same pool, directly or
through children of their own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from concurrency import context
from concurrency.db.connection import Lease, name_of


def are_all_waiting(leases: Iterable[Lease]) -> bool:
    """Return whether every holder waits for greenlets through our verbs.

    Without that there is no circle. Costs a look at each lease, whatever the queue.
    """
    return all(lease.owner() in context.waiting for lease in leases)


def find_circle(leases: Iterable[Lease], queue: list[Any]) -> tuple[list[Any], tuple[str, ...]]:
    """Return the stuck greenlets of a queue, and the circle in words.

    Args:
        leases: all leases of a pool that has no free slot; ``are_all_waiting``.
        queue: the greenlets that wait for a connection of it.

    Returns:
        The greenlets of the queue that holders wait for, in the queue's order, and a
        sentence for each holder; both empty when somebody can still go on.
    """
    waiters = set(queue)
    reached: set[Any] = set()
    circle = []
    for lease in leases:
        owner = lease.owner()
        if owner is None or not _is_stuck(owner, waiters, reached):
            return [], ()
        children = ", ".join(sorted(name_of(child) for child in context.waiting[owner]()))
        circle.append(f"{lease.describe()} waits for {children}")
    return [greenlet for greenlet in queue if greenlet in reached], tuple(circle)


def _is_stuck(greenlet: Any, waiters: set[Any], reached: set[Any]) -> bool:
    """Return whether a greenlet waits for nothing but others that are stuck."""
    if greenlet in reached:
        return True
    if greenlet in waiters:
        reached.add(greenlet)
        return True
    children = context.waiting.get(greenlet)
    if children is None:
        return False
    awaited = [child for child in children() if not child.dead]
    # Somebody who waits for nobody is about to wake up.
    if not awaited or not all(_is_stuck(child, waiters, reached) for child in awaited):
        return False
    reached.add(greenlet)
    return True
