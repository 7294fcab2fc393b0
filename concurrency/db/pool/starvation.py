"""Distinguishes a busy pool from a starved one, in which no greenlet can ever proceed.

A pool is starved when every connection is held by a greenlet that waits, in a fan-out,
for greenlets that wait for a connection of the same pool, directly or through children
of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from concurrency import kinship
from concurrency.db.pool.lease import Lease
from concurrency.tasks.names import name_of


def find_circle(
    leases: Iterable[Lease], is_queued: Callable[[Any], bool]
) -> tuple[set[Any], tuple[str, ...]]:
    """Return the greenlets that are stuck, and a description of the circle.

    The search ends at the first holder that can proceed, so it is cheap in a pool that is
    merely busy.

    Args:
        leases: all leases of a pool that has no free slot.
        is_queued: whether a greenlet waits for a connection of the pool.

    Returns:
        The holders and the greenlets that they wait for, and a sentence for each holder;
        both empty if any greenlet can still proceed.
    """
    reached: set[Any] = set()
    circle = []
    for lease in leases:
        owner = lease.owner()
        if owner is None or not _is_stuck(owner, is_queued, reached):
            return set(), ()
        circle.append(f"{lease.describe()} waits for {_what_for(owner)}")
    return reached, tuple(circle)


def _what_for(greenlet: Any) -> str:
    """Return a readable description of what a stuck greenlet waits for."""
    children = kinship.waiting.get(greenlet)
    if children is None:
        return "one more connection"
    return ", ".join(sorted(name_of(child) for child in children()))


def _is_stuck(greenlet: Any, is_queued: Callable[[Any], bool], reached: set[Any]) -> bool:
    """Return whether a greenlet waits only for greenlets that are stuck themselves."""
    if greenlet in reached:
        return True
    if is_queued(greenlet):
        reached.add(greenlet)
        return True
    children = kinship.waiting.get(greenlet)
    if children is None:
        return False
    awaited = [child for child in children() if not child.dead]
    # A greenlet whose children have all ended is about to wake up.
    if not awaited or not all(_is_stuck(child, is_queued, reached) for child in awaited):
        return False
    reached.add(greenlet)
    return True
