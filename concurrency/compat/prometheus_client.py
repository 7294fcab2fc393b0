"""What prometheus-client does not promise: where it counts when there are several processes.

Importing it imports nothing of prometheus-client, which is optional.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from concurrency.compat.names import Names

__all__ = ["NAMES", "count_in", "name_files"]

_FILE = "prometheus_client.mmap_dict:MmapedDict"

NAMES = Names(
    "prometheus-client",
    f"{_FILE}()._capacity",
    f"{_FILE}()._f",
    f"{_FILE}()._m",
    f"{_FILE}()._positions",
    f"{_FILE}()._used",
    f"{_FILE}._init_value(self, key)",
    "prometheus_client.multiprocess:MultiProcessCollector()._path",
    "prometheus_client.values:MmapedDict",
    "prometheus_client.values:MultiProcessValue(process_identifier=)",
    "prometheus_client.values:ValueClass",
)

_NAMED = "_Named"


def count_in(kind: type) -> None:
    """Have values counted in files of a class, in the place of ``MmapedDict``."""
    from prometheus_client import values

    values.MmapedDict = kind  # type: ignore[attr-defined, assignment]


def name_files(name: Callable[[], str]) -> None:
    """Have files named by what a function returns; where this was done before, do nothing.

    Metrics that were made before are asked after a fork, too.
    """
    from prometheus_client import values

    make: Any = values.MultiProcessValue
    if values.ValueClass.__name__ != _NAMED:
        values.ValueClass = make(name)
        values.ValueClass.__name__ = _NAMED
