"""``Body``: the body of a request while it arrives: in memory at first, then in a file."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator
from typing import IO, Any

from concurrency.server.worker.http1.refusals import Refusal

__all__ = ["Body", "ExpectedBody", "Store"]


class Store:
    """Where the bodies of one worker are kept.

    Args:
        memory: bytes of one body that are kept in memory.
        folder: where files are made; None for the system's.
        most: bytes that all files may have together; 0: any number.
    """

    def __init__(
        self, memory: int = 1 << 18, folder: str | None = None, most: int = 1 << 32
    ) -> None:
        self.memory = memory
        self._folder = folder
        self._most = most
        self._used = 0

    def file(self) -> IO[bytes]:
        """Return a new file, which has no name and is gone when it is closed."""
        return tempfile.TemporaryFile(dir=self._folder)

    def take(self, size: int) -> None:
        """Account for bytes in files.

        Raises:
            Refusal: there would be too many.
        """
        if self._most and self._used + size > self._most:
            raise Refusal(503, "The server has no room for the body of this request.")
        self._used += size

    def give(self, size: int) -> None:
        """Account for bytes that are gone."""
        self._used -= size


class Body:
    """The body of one request.

    Attributes:
        length: bytes that have arrived.
    """

    __slots__ = ("_data", "_file", "_store", "_stored", "length")

    def __init__(self) -> None:
        self.length = 0
        # One piece as it came, several as one: many small ones would need much memory.
        self._data: bytes | bytearray = b""
        self._file: IO[bytes] | None = None
        self._store: Store | None = None
        self._stored = 0

    def add(self, data: bytes, store: Store) -> None:
        """Keep what has arrived.

        Args:
            data: the next bytes.
            store: where they are kept when they are many.

        Raises:
            Refusal: they cannot be kept.
        """
        self.length += len(data)
        if self._file is None:
            if not self._data:
                self._data = data
            else:
                if isinstance(self._data, bytes):
                    self._data = bytearray(self._data)
                self._data += data
            if self.length <= store.memory:
                return
            data, self._data = bytes(self._data), b""
        try:
            if self._file is None:
                self._store = store
                self._file = store.file()
            store.take(len(data))
            self._stored += len(data)
            self._file.write(data)
        except OSError as error:
            raise Refusal(507, "The server cannot store the body of this request.") from error

    def open(self) -> Any:
        """Return the body to read from its beginning: ``wsgi.input``."""
        if self._file is not None:
            self._file.seek(0)
            return self._file
        self._data = bytes(self._data)
        return io.BytesIO(self._data)

    def close(self) -> None:
        """Let go of what is kept in a file."""
        file, self._file = self._file, None
        if file is not None:
            file.close()
            if self._store is not None:
                self._store.give(self._stored)


class ExpectedBody:
    """A body that the client sends when it is asked to: at the first read.

    Args:
        ask: has the client send it, and returns what it is read from.
    """

    __slots__ = ("_ask", "_file")

    def __init__(self, ask: Callable[[], IO[bytes]]) -> None:
        self._ask = ask
        self._file: IO[bytes] | None = None

    def _opened(self) -> IO[bytes]:
        if self._file is None:
            self._file = self._ask()
        return self._file

    def read(self, size: int = -1) -> bytes:
        """Return so many bytes, or all that are left."""
        return self._opened().read(size)

    def readline(self, size: int = -1) -> bytes:
        """Return a line, or the part of one that fits the size."""
        return self._opened().readline(size)

    def readlines(self, hint: int = -1) -> list[bytes]:
        """Return the lines that are left."""
        return self._opened().readlines(hint)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._opened())
