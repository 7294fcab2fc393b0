"""Databases: one bounded pool of connections for each, leased to greenlets."""

from __future__ import annotations

from concurrency.db.locks import advisory_lock
from concurrency.db.pool.registry import pool_statistics
from concurrency.db.pool.statistics import PoolStatistics
from concurrency.db.wrapper.lifecycle import keep_lease

__all__ = ["PoolStatistics", "advisory_lock", "keep_lease", "pool_statistics"]
