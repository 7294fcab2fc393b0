"""What a worker reports of itself: its row of the board, four times a second and by request.

Does not depend on who reads it.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from concurrency.db import pool_statistics
from concurrency.hub.periodic import Periodic
from concurrency.observe import metrics
from concurrency.server import folder
from concurrency.server.board import Row
from concurrency.server.options import ServeOptions

__all__ = ["PERIOD", "Memory", "Report"]

PERIOD = 0.25  # seconds between two beats

# Linux alone has it; where it is missing the memory is not watched.
_STATM = Path("/proc/self/statm")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Report:
    """The state of this worker, on its row.

    Args:
        worker: gunicorn's, with its state.
        row: where it is written.
        options: with the limit of memory.
        collects: whether there are metrics.

    Attributes:
        in_flight: requests that are worked on.
        requests: requests that have ended.
    """

    def __init__(self, worker: Any, row: Row, options: ServeOptions, *, collects: bool) -> None:
        self.row = row
        self.in_flight = 0
        self.requests = 0
        self._worker = worker
        self._most_memory = options.max_memory * 1024 * 1024
        self._collects = collects
        self._metrics: metrics.Metrics | None = None
        self._memory = Memory()
        self._periodic = Periodic(
            "the report of this worker", PERIOD, self._look, pulse=self.row.beat
        )
        self._upkeep = Periodic("the upkeep of this worker's files", folder.UPKEEP, self._restore)
        if collects:
            metrics.name_files(str(row.number))

    def __repr__(self) -> str:
        return f"<Report {self.in_flight} in flight, {self.requests} ended>"

    def began(self, request: Any) -> None:
        """Count a request that begins."""
        self.in_flight += 1
        self.row.write(in_flight=self.in_flight)
        request.began = time.perf_counter()

    def ended(self, request: Any, environ: dict[str, Any], response: Any) -> None:
        """Count a request that has ended, by what the server knows and the route."""
        self.in_flight -= 1
        self.requests += 1
        self.row.write(in_flight=self.in_flight, requests=self.requests)
        if self._metrics is not None:
            # An application that fails without an answer is answered by gunicorn.
            status = str(getattr(response, "status", None) or "500")[:3]
            seconds = time.perf_counter() - request.began
            route = environ.get(metrics.ROUTE, "-")
            self._metrics.request(route, request.method, status, seconds)

    def start(self) -> None:
        """Say that the application is loaded, and beat from now on."""
        if self._collects:
            self._metrics = metrics.Metrics()
        self.row.write(loaded=True)
        self.row.beat(0.0)
        self._periodic.start()
        self._upkeep.start()

    def _restore(self) -> None:
        """Have this worker's files where they belong, if a cleaner of folders took them."""
        with suppress(FileNotFoundError):  # the folder is the arbiter's to make again
            if self._collects:
                metrics.restore()
            window = self._worker.concurrency.window
            if window is not None:
                window.restore()

    def _look(self) -> None:
        pools, memory = pool_statistics(), self._memory.resident()
        state = self._worker.concurrency
        self.row.write(
            waiters=sum(pool.waiting for pool in pools.values()),
            memory=memory,
            stalled=0.0 if state.gate is None else state.gate.stalled(),
            unsent=0 if state.unsent is None else state.unsent.size,
        )
        if self._metrics is not None:
            self._metrics.lag(self.row.read().lag)
            self._metrics.pools(pools)
        if 0 < self._most_memory < memory and self._worker.alive:
            self._worker.log.warning(
                "worker has %d MiB, more than max-memory: it drains and is replaced",
                memory // 1024 // 1024,
            )
            # What gunicorn does after max_requests: it takes no more, and ends what it has.
            self._worker.alive = False


class Memory:
    """How much memory this process has; it works without a free descriptor, once it is made."""

    def __init__(self) -> None:
        self._descriptor: int | None = None
        with suppress(OSError):  # then it is tried again
            self._open()

    def _open(self) -> None:
        if _STATM.exists():
            self._descriptor = os.open(_STATM, os.O_RDONLY | os.O_CLOEXEC)

    def resident(self) -> int:
        """Return how many bytes are in memory, or 0 where the system does not tell."""
        if self._descriptor is None:
            self._open()
        if self._descriptor is None:
            return 0
        return int(os.pread(self._descriptor, 256, 0).split()[1]) * _PAGE
