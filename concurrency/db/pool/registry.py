"""The pools of this process, by alias."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from concurrency.db.pool.lease import Lease
from concurrency.db.pool.pool import Pool
from concurrency.db.pool.statistics import PoolStatistics

#: By alias. Read-only for other modules: ``pool_for`` and ``forget`` change it.
pools: dict[str, Pool] = {}

# Pools of the parent process. A child must neither use nor close them, as that would end
# the session on the parent's socket. So it keeps a reference and does not use them.
_inherited: list[Pool] = []


def pool_for(alias: str, make: Callable[[], Pool]) -> Pool:
    """Return the pool of an alias; create it on the first call."""
    pool = pools.get(alias)
    if pool is None:
        # No switch between lookup and store, so there is never a second pool.
        pool = pools[alias] = make()
    return pool


def forget(alias: str) -> None:
    """Close the idle connections of an alias and forget its pool.

    Connections that are in use are closed when they are given back.
    """
    pool = pools.pop(alias, None)
    if pool is not None:
        pool.close()


def forget_database(name: Any) -> None:
    """Forget every pool of a database, for example before it is dropped or copied.

    A mirrored replica has a pool of its own to the same database. Only the name is compared:
    the same host can be spelled in several ways, and a pool closed needlessly just reopens.
    """
    for alias in aliases_of(name):
        forget(alias)


def aliases_of(name: Any) -> list[str]:
    """Return the aliases whose pools connect to a database of this name."""
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
    """Forget every pool, close nothing; for a child process, as the parent owns them."""
    inherited = list(pools.values())
    _inherited.extend(inherited)
    pools.clear()
    for pool in inherited:
        pool.abandon()
