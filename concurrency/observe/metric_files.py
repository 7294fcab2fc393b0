"""The files in which prometheus-client counts, made safe for full disks.

prometheus-client sets the size of a file and writes to it through a mapping. If the disk is
full, or a cleanup job has removed the folder, that kills the process (SIGBUS) or raises in
the code that counts. Here a file is allocated at creation. If that fails, counting continues
in memory until there is space on the disk.
Importing this module imports prometheus-client.
"""

from __future__ import annotations

import logging
import mmap
import os
import sys
import tempfile
from pathlib import Path
from typing import Any, BinaryIO
from weakref import WeakSet

from prometheus_client import mmap_dict

from concurrency.compat.prometheus_client import count_in
from concurrency.patching import files

__all__ = ["install", "restore"]

logger = logging.getLogger("concurrency.metrics")

_SIZE = 1 << 16  # bytes, at first; prometheus-client doubles them
_HEAD = 8  # bytes before the first value

_all: WeakSet[CountingFile] = WeakSet()


class CountingFile(mmap_dict.MmapedDict):
    """A file of values that can be written at any time.

    Args:
        filename: the path at which the ops process reads it.
        read_mode: whether it is opened only for reading.
    """

    _f: Any  # the open file; None while it counts in memory
    _m: Any
    _capacity: int
    _used: int
    _positions: dict[str, int]

    def __init__(self, filename: str, read_mode: bool = False) -> None:
        self._path = Path(filename)
        try:
            if not read_mode:
                _make(self._path)
            super().__init__(filename, read_mode)  # type: ignore[no-untyped-call]
            if not _HEAD <= self._used <= self._capacity or "" in self._positions:
                raise ValueError("it is damaged")
        except Exception as error:
            # Also what prometheus-client raises for a file that is damaged.
            if read_mode:
                raise
            self._positions, self._used = {}, _HEAD
            self._go_on_in_memory(_HEAD.to_bytes(_HEAD, sys.byteorder), _SIZE, error)
        _all.add(self)

    def _init_value(self, key: str) -> None:
        """Make room for a value, and initialise it."""
        needed = self._used + len(key.encode()) + 32  # its length, padding, two numbers
        size = self._capacity
        while size < needed:
            size *= 2
        if size != self._capacity:
            self._grow(size)
        super()._init_value(key)  # type: ignore[no-untyped-call]

    def _grow(self, size: int) -> None:
        if self._f is None:
            self._use(None, size, self._m[: self._used])
            return
        try:
            files.allocate(self._f.fileno(), size)
        except OSError as error:
            self._go_on_in_memory(self._m[: self._used], size, error)

    def _go_on_in_memory(self, content: bytes, size: int, error: Exception) -> None:
        logger.warning(
            "metrics: %s cannot be written, its values are kept in memory until it can: %s",
            self._path,
            error,
        )
        self._use(None, size, content)

    def close(self) -> None:
        """Close the file."""
        super().close()  # type: ignore[no-untyped-call]
        self._m = None

    def restore(self) -> None:
        """Write the values to the named file again, if they are not there.

        Raises:
            OSError: it cannot be written yet.
        """
        if self._m is None or (self._f is not None and os.fstat(self._f.fileno()).st_nlink):
            return
        descriptor, name = tempfile.mkstemp(prefix=".", dir=self._path.parent)
        new, file = Path(name), os.fdopen(descriptor, "r+b")
        try:
            files.allocate(descriptor, self._capacity)
        except BaseException:
            file.close()
            new.unlink()
            raise
        self._use(file, self._capacity, self._m[: self._used])
        new.replace(self._path)

    def _use(self, file: BinaryIO | None, size: int, content: bytes) -> None:
        """Write to another file, or only to memory, from now on."""
        new = mmap.mmap(-1 if file is None else file.fileno(), size)
        new[: len(content)] = content
        before = getattr(self, "_f", None)
        if before is not None:
            before.close()
        self._f, self._m, self._capacity = file, new, size


def _make(path: Path) -> None:
    """Create a file with allocated disk space, or none."""
    with path.open("ab") as file:
        size = os.fstat(file.fileno()).st_size
        try:
            files.allocate(file.fileno(), max(size, _SIZE))
        except OSError:
            if not size:
                path.unlink()
            raise


def install() -> None:
    """Make prometheus-client use such files from now on."""
    _all.clear()
    count_in(CountingFile)


def restore() -> None:
    """Write all files of this process again that have been removed.

    Raises:
        OSError: a file cannot be written yet; the values are kept.
    """
    for file in list(_all):
        file.restore()
