"""What a worker reports of itself: its row of the board, by a greenlet and by each request.

Knows nothing of who reads it. `mine` is the report of this process, once it is a worker.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import gevent

from concurrency.db import pool_statistics
from concurrency.server.board import Row

__all__ = ["PERIOD", "Report", "mine", "resident"]

PERIOD = 0.25  # seconds between two beats

# Linux alone has it; where it is missing the memory is not watched.
_STATM = Path("/proc/self/statm")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Report:
    """The state of this worker, on its row.

    Args:
        row: where it is written.

    Attributes:
        in_flight: requests that are worked on.
        requests: requests that have ended.
    """

    def __init__(self, row: Row) -> None:
        self.row = row
        self.in_flight = 0
        self.requests = 0
        self._greenlet: gevent.Greenlet[..., Any] | None = None

    def __repr__(self) -> str:
        return f"<Report {self.in_flight} in flight, {self.requests} ended>"

    def began(self) -> None:
        """Count a request that begins."""
        self.in_flight += 1
        self.row.write(in_flight=self.in_flight)

    def ended(self) -> None:
        """Count a request that has ended."""
        self.in_flight -= 1
        self.requests += 1
        self.row.write(in_flight=self.in_flight, requests=self.requests)

    def start(self) -> None:
        """Say that the application is loaded, and beat from now on."""
        self.row.write(loaded=True)
        self.row.beat(0.0)
        self._greenlet = gevent.spawn(self._run)

    def _run(self) -> None:
        while True:
            due = time.monotonic() + PERIOD
            gevent.sleep(PERIOD)
            self.row.beat(max(0.0, time.monotonic() - due))
            self.row.write(
                waiters=sum(pool.waiting for pool in pool_statistics().values()),
                memory=resident(),
            )


# The report of this process, once it is a worker.
mine: Report | None = None


def resident() -> int:
    """Return how many bytes of this process are in memory, or 0 where nobody says."""
    try:
        return int(_STATM.read_bytes().split()[1]) * _PAGE
    except FileNotFoundError:
        return 0
