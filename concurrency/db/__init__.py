"""Databases: one bounded pool of connections for each, leased to greenlets."""

from __future__ import annotations

from concurrency.db.pool.registry import keep_lease, pool_statistics
from concurrency.db.pool.statistics import PoolStatistics

__all__ = ["PoolStatistics", "keep_lease", "pool_statistics"]
