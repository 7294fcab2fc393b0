"""Hooks that give leases back when a greenlet waits or ends, and after a fork.

``register`` adds them; each finds the wrappers of its greenlet.
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

# Connections of the parent outside of any pool; kept and not used, like its pools.
_inherited: list[Any] = []


@contextmanager
def keep_lease(using: str | None = None) -> Iterator[None]:
    """Keep the connection of this greenlet for the length of the block.

    For code that changes the session where the library cannot see it, for example in a
    database function: the connection is not lent while the greenlet waits, and its
    session is reset before the next holder gets it.

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
        return  # Django has no databases yet, and asking for them would load the settings
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
    # Connections without a pool, as in an unpatched process. Only if Django already has
    # its databases: asking for them would load the settings.
    if "settings" in vars(connections):
        for wrapper in _pooled_wrappers():
            if wrapper.connection is not None and not _is_in_memory(wrapper):
                _inherited.append(wrapper.connection)
                wrapper.forsake()


def _is_in_memory(wrapper: Any) -> bool:
    """Return whether the child has its own copy of a database, which closing would destroy."""
    return bool(wrapper.vendor == "sqlite" and wrapper.is_in_memory_db())


def register() -> None:
    """Make greenlets lend their connections while they wait, and return them at the end."""
    hooks.register(hooks.before_wait, _lend_all)
    hooks.register(hooks.at_rest, _rest_all)
    hooks.register(hooks.at_end, _end_all)
    if is_patched():
        executors.install()


os.register_at_fork(after_in_child=_after_fork)
