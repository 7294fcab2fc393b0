"""The pools of this process, by alias, and the hooks that concern all of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.db import DEFAULT_DB_ALIAS, connections

from concurrency import context
from concurrency.db.pool.connection import Lease
from concurrency.db.pool.pool import Pool
from concurrency.db.pool.statistics import PoolStatistics
from concurrency.patching.lateness import is_patched
from concurrency.tasks import executors

if TYPE_CHECKING:
    from concurrency.db.wrapper.wrapper import PooledDatabaseWrapper

#: By alias; to be read only. ``pool_for`` and ``forget`` change it.
pools: dict[str, Pool] = {}

# A child process must neither use nor close what it shares with its parent: closing
# says goodbye to the server on the parent's socket. So it keeps them, unused.
_inherited: list[Any] = []


def pool_for(alias: str, make: Callable[[], Pool]) -> Pool:
    """Return the pool of an alias, made when it is asked for the first time."""
    pool = pools.get(alias)
    if pool is None:
        # Nothing waits between the look and the store, so there is never a second one.
        pool = pools[alias] = make()
    return pool


def forget(alias: str) -> None:
    """Close the idle connections of an alias and forget its pool.

    Connections that are in use are closed when they come back.
    """
    pool = pools.pop(alias, None)
    if pool is not None:
        pool.close()


def forget_database(name: Any) -> None:
    """Forget every pool of a database, as before the database is dropped or copied.

    A mirrored replica has a pool of its own to the same database. Only the name counts:
    the same host may be spelt in several ways, and a pool too many only opens again.
    """
    for alias in aliases_of(name):
        forget(alias)


def aliases_of(name: Any) -> list[str]:
    """Return the aliases whose pools lead to a database of this name."""
    return [alias for alias, pool in list(pools.items()) if pool.fingerprint[0] == name]


def pool_statistics() -> dict[str, PoolStatistics]:
    """Return the numbers of every pool of this process, by database alias."""
    return {alias: pool.statistics() for alias, pool in list(pools.items())}


def leases() -> list[Lease]:
    """Return the leases of every pool of this process."""
    return [lease for pool in list(pools.values()) for lease in pool.leases()]


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


def _pooled_wrappers() -> Iterator[PooledDatabaseWrapper]:
    """Yield the wrappers of this greenlet that have been used."""
    if "settings" not in vars(connections):
        return  # Django knows no databases yet: to ask it is to load the settings
    wrapper: Any
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
    if pools:
        _inherited.append(dict(pools))
        pools.clear()
        for pool in _inherited[-1].values():
            pool.abandon()
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


context.before_wait.append(_lend_all)
context.at_rest.append(_rest_all)
context.at_end.append(_end_all)
os.register_at_fork(after_in_child=_after_fork)
if is_patched():
    executors.install()
