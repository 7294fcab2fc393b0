"""The metrics of a worker, counted by prometheus-client for all workers of a service.

Each worker counts in its own files, which the ops process adds up. The files are named
after the row of the worker on the board, not after its process: a new worker continues the
files of its row, so counters never decrease and replaced workers leave no files behind.
prometheus-client is optional; `Metrics` imports it, this module does not.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from concurrency.db.pool.statistics import PoolStatistics

__all__ = ["FOLDER", "ROUTE", "Metrics", "forget", "is_installed", "name_files", "restore"]

# The folder of the files: prometheus-client's own variable.
FOLDER = "PROMETHEUS_MULTIPROC_DIR"

# The key of the WSGI environment under which the middleware stores the route.
ROUTE = "concurrency.route"

# A label must have few values: unknown methods share one.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

# In seconds. The lag of a healthy hub is below a millisecond.
_LAGS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


def is_installed() -> bool:
    """Return whether prometheus-client is installed."""
    return find_spec("prometheus_client") is not None


_file = "arbiter"


def name_files(name: str) -> None:
    """Set the name of the files of this process; call it before any metric is made.

    Called again after a fork, it moves existing metrics to the new files.
    """
    global _file
    from concurrency.compat import prometheus_client
    from concurrency.observe import metric_files

    metric_files.install()
    if _file == "arbiter":
        prometheus_client.name_files(lambda: _file)
    _file = name


def restore() -> None:
    """Write the files of this process again, if a cleanup job has removed them.

    Raises:
        OSError: a file cannot be written yet; the values are kept.
    """
    files = sys.modules.get("concurrency.observe.metric_files")
    if files is not None:
        Path(os.environ[FOLDER]).mkdir(mode=0o700, exist_ok=True)
        files.restore()


def forget(name: str) -> None:
    """Remove the live gauges of a worker that has ended; for the arbiter."""
    from prometheus_client import multiprocess

    mark: Any = multiprocess.mark_process_dead
    mark(name, os.environ[FOLDER])


class Metrics:
    """The families of metrics of this package, in this process."""

    def __init__(self) -> None:
        from prometheus_client import Counter, Gauge, Histogram

        self._requests = Counter(
            "concurrency_requests", "Requests that have ended.", ["route", "method", "status"]
        )
        self._seconds = Histogram(
            "concurrency_request_seconds",
            "From the first byte of the request to the last of the response.",
            ["route", "method"],
        )
        self._of_requests: dict[tuple[str, str, str], tuple[Counter, Histogram]] = {}
        self._lag = Histogram(
            "concurrency_hub_lag_seconds", "How late the hub ran a timer.", buckets=_LAGS
        )
        live: dict[str, Any] = {"labelnames": ["database"], "multiprocess_mode": "livesum"}
        self._gauges = {
            "max_size": Gauge(
                "concurrency_pool_max_size", "Largest number of connections.", **live
            ),
            "open": Gauge("concurrency_pool_open", "Connections that are open.", **live),
            "in_use": Gauge("concurrency_pool_in_use", "Connections in use.", **live),
            "waiting": Gauge(
                "concurrency_pool_waiters", "Greenlets that wait for a connection.", **live
            ),
        }
        self._timeouts = Counter(
            "concurrency_pool_timeouts", "Waits for a connection that timed out.", ["database"]
        )
        self._timeouts_seen: dict[str, int] = {}

    def request(self, route: str, method: str, status: str, seconds: float) -> None:
        """Count a request that has ended."""
        # Looking the labels up again would cost as much as counting.
        key = (route, method if method in _METHODS else "other", status)
        found = self._of_requests.get(key)
        if found is None:
            found = self._requests.labels(*key), self._seconds.labels(*key[:2])
            self._of_requests[key] = found
        counter, histogram = found
        counter.inc()
        histogram.observe(seconds)

    def lag(self, seconds: float) -> None:
        """Record the hub lag."""
        self._lag.observe(seconds)

    def pools(self, pools: Mapping[str, PoolStatistics]) -> None:
        """Record the state of the pools, by database alias."""
        for alias, pool in pools.items():
            for name, gauge in self._gauges.items():
                gauge.labels(alias).set(getattr(pool, name))
            new = pool.timeouts - self._timeouts_seen.get(alias, 0)
            if new > 0:
                self._timeouts.labels(alias).inc(new)
            self._timeouts_seen[alias] = pool.timeouts
