"""Databases: one bounded pool of connections for each, leased to greenlets."""

from __future__ import annotations

from concurrency.db.registry import keep_lease, pool_statistics
from concurrency.db.statistics import PoolStatistics

__all__ = ["PoolStatistics", "keep_lease", "pool_statistics"]
