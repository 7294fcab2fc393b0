"""Finds what a test leaves behind: greenlets, leases, context variables."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any
from weakref import WeakSet

import gevent
from django.db import connections

from concurrency.db import pool_statistics

# Seconds that greenlets get to end and pools to settle.
PATIENCE = 2.0


@contextmanager
def assert_nothing_left(patience: float = PATIENCE) -> Iterator[None]:
    """Fail when a block leaves a lease or a greenlet behind, or changes the context.

    The block's own connection is closed, unless it is inside ``atomic``, as it is in
    a ``TestCase``. Greenlets get a moment to end. Of the context only the variables of
    this package are checked.

    Args:
        patience: seconds that greenlets get to end and pools to settle.

    Raises:
        AssertionError: something is left; the message says what.
    """
    context = _variables()
    leases = busy()
    with _started() as greenlets:
        yield
    close_idle()
    wait_until(lambda: not _more(leases), patience)
    if left := _more(leases):
        raise AssertionError(f"leases left behind: {left}")
    wait_until(lambda: not _running(greenlets), patience)
    if running := _running(greenlets):
        raise AssertionError(f"greenlets left behind: {running}")
    changed = {
        name: value
        for name, value in _variables().items()
        if value and (name not in context or context[name] is not value)
    }
    if changed:
        raise AssertionError(f"context left behind: {changed}")


def close_idle() -> None:
    """Close this greenlet's connections, but none that a test's transaction is on."""
    wrapper: Any
    for wrapper in connections.all(initialized_only=True):
        if not wrapper.in_atomic_block:
            wrapper.close()


def busy() -> dict[str, int]:
    """Return how many slots of each pool are neither free nor idle, by alias."""
    return {
        alias: numbers.in_use + numbers.discarding for alias, numbers in pool_statistics().items()
    }


def _more(before: dict[str, int]) -> dict[str, object]:
    """Return the numbers of the pools that are busier than before."""
    numbers = pool_statistics()
    return {
        alias: numbers[alias] for alias, count in busy().items() if count > before.get(alias, 0)
    }


@contextmanager
def _started() -> Iterator[WeakSet[gevent.Greenlet[..., Any]]]:
    """Collect the greenlets that a block starts. (A search of the heap takes a second.)"""
    started: WeakSet[gevent.Greenlet[..., Any]] = WeakSet()
    note = started.add
    gevent.Greenlet.add_spawn_callback(note)
    try:
        yield started
    finally:
        gevent.Greenlet.remove_spawn_callback(note)


def _running(greenlets: WeakSet[gevent.Greenlet[..., Any]]) -> list[gevent.Greenlet[..., Any]]:
    return [greenlet for greenlet in greenlets if not greenlet.dead]


def _variables() -> dict[str, Any]:
    return {
        variable.name: value
        for variable, value in copy_context().items()
        if variable.name.startswith("concurrency.")
    }


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Let other greenlets run until a condition holds; return whether it does in time."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        gevent.sleep(0.005)
    return True
