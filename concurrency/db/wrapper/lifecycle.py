"""What the pools of a process do when a greenlet waits or ends, and when the process forks.

``register`` adds the hooks, which look for the wrappers that they concern.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections

from concurrency import hooks
from concurrency.db.pool import registry
from concurrency.patching.lateness import is_patched
from concurrency.tasks import executors

# Connections of the parent that belong to no pool; kept, unused, as those of its pools are.
_inherited: list[Any] = []


@contextmanager
def keep_lease(using: str | None = None) -> Iterator[None]:
    """Keep the connection of this greenlet for the length of the block.

    For code that changes the session where the library cannot see it, as inside
    a database function: the connection is not lent while the greenlet waits, and
    its session is reset before the next one gets it.

    Args:
        using: alias of the database; None means the default one.
    """
    wrapper = connections[using or DEFAULT_DB_ALIAS]
    keep = getattr(wrapper, "keep", None)
    if keep is None:
        yield
        return
    with keep():
        yield


def _pooled_wrappers() -> Iterator[Any]:
    """Yield the wrappers of this greenlet that have been used."""
    if "settings" not in vars(connections):
        return  # Django knows no databases yet: to ask it is to load the settings
    for wrapper in connections.all(initialized_only=True):
        if hasattr(wrapper, "lend"):
            yield wrapper


def _lend_all() -> None:
    for wrapper in _pooled_wrappers():
        wrapper.lend()


def _rest_all() -> None:
    for wrapper in _pooled_wrappers():
        wrapper.rest()


def _end_all() -> None:
    for wrapper in _pooled_wrappers():
        wrapper.end()


def _after_fork() -> None:
    registry.abandon()
    # Those without a pool, as in a process that is not patched. Where Django knows its
    # databases: to ask it is to load the settings.
    if "settings" in vars(connections):
        for wrapper in _pooled_wrappers():
            if wrapper.connection is not None and not _is_in_memory(wrapper):
                _inherited.append(wrapper.connection)
                wrapper.forsake()


def _is_in_memory(wrapper: Any) -> bool:
    """Return whether a database is a copy of its own after a fork, and lost when it is closed."""
    return bool(wrapper.vendor == "sqlite" and wrapper.is_in_memory_db())


def register() -> None:
    """Have greenlets lend their connections while they wait, and return them at the end."""
    hooks.register(hooks.before_wait, _lend_all)
    hooks.register(hooks.at_rest, _rest_all)
    hooks.register(hooks.at_end, _end_all)
    if is_patched():
        executors.install()


os.register_at_fork(after_in_child=_after_fork)
