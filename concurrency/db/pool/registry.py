"""The pools of this process, by alias."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from concurrency.db.pool.lease import Lease
from concurrency.db.pool.pool import Pool
from concurrency.db.pool.statistics import PoolStatistics

#: By alias; to be read only. ``pool_for`` and ``forget`` change it.
pools: dict[str, Pool] = {}

# Of the parent: a child must neither use nor close them, which would say goodbye to the
# server on the parent's socket. So it keeps them, unused.
_inherited: list[Pool] = []


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


def queued_at(greenlet: Any) -> str | None:
    """Return the alias of the pool at which a greenlet waits for a connection, or None."""
    return next((alias for alias, pool in list(pools.items()) if pool.is_waiting(greenlet)), None)


def abandon() -> None:
    """Forget every pool and close nothing: in a child process, to whose parent they belong."""
    inherited = list(pools.values())
    _inherited.extend(inherited)
    pools.clear()
    for pool in inherited:
        pool.abandon()
