"""The metrics page: the counts of all workers, and the numbers of the board."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector

from concurrency.server.board import Board, Worker

__all__ = ["Exposition"]

_SERVICE = {
    "concurrency_requests_in_flight": ("Requests that are worked on.", "in_flight"),
    "concurrency_waiters": ("Greenlets that wait for a connection.", "waiters"),
    "concurrency_worker_unsent_bytes": ("Of answers that wait for slow clients.", "unsent"),
    "concurrency_worker_memory_bytes": ("Memory of a worker.", "memory"),
    "concurrency_worker_lag_seconds": ("How late a worker's hub turned last.", "lag"),
    "concurrency_worker_silent_seconds": ("Since a worker's hub turned.", "silent"),
}


# A file can lose its size between the look at it and the read; to lose it again needs one more
# worker that is replaced in that very moment.
_ATTEMPTS = 3


class _Counted(MultiProcessCollector):
    """The sums over all workers, even while one of them creates a file.

    prometheus-client creates a file, then sets its size, and cannot read it in between. A
    scrape during the replacement of a worker can find such a file, and one left by a killed
    worker stays until the next worker of its row. It contains no data.
    """

    def collect(self) -> Any:
        """Return the metrics."""
        for _ in range(_ATTEMPTS - 1):
            try:
                return self._sums()
            except struct.error:
                continue
        return self._sums()

    def _sums(self) -> Any:
        files = [str(path) for path in Path(self._path).glob("*.db") if _size(path)]
        merge: Any = self.merge
        return merge(files)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # of a gauge, which goes with its worker
        return 0


class Exposition:
    """Responds to a scrape, in the requested format.

    Args:
        board: the service's board.
        folder: the folder of the workers' metric files.
    """

    def __init__(self, board: Board, folder: str) -> None:
        self._board = board
        self._folder = folder

    def __call__(self, accept: str) -> tuple[int, str, bytes]:
        """Return status, content type and page."""
        registry = CollectorRegistry()
        if Path(self._folder).is_dir():  # it is made again if a cleaner has removed it
            _Counted(registry, path=self._folder)  # type: ignore[no-untyped-call]
        registry.register(self)
        encode, kind = choose_encoder(accept)
        return 200, kind, encode(registry)

    def collect(self) -> Iterator[Any]:
        """Yield the numbers of the board, each with the worker's pid."""
        workers = self._board.workers()
        yield GaugeMetricFamily("concurrency_workers", "Workers.", value=len(workers))
        wanted = self._board.service().wanted
        yield GaugeMetricFamily("concurrency_workers_wanted", "Workers wanted.", value=wanted)
        for name, (text, attribute) in _SERVICE.items():
            yield _family(name, text, attribute, workers)


def _family(name: str, text: str, attribute: str, workers: list[Worker]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=["pid"])
    for worker in workers:
        family.add_metric([str(worker.pid)], float(getattr(worker, attribute)))
    return family
