"""The board: what the processes of one service tell each other, in shared memory.

The arbiter makes it before there is any worker and gives each one a row; a worker writes
its own row and nobody else's; the ops process and `manage.py` only read. A row holds
numbers of eight bytes, each written at once, so nobody waits for anybody and a reader is
never stopped by a worker that is blocked or dead. The memory is no file of a folder: a
full disk and a cleaner of temporary folders do not reach it. Knows nothing of gunicorn,
gevent or Django.
"""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass

from concurrency.patching import files

__all__ = ["Board", "Row", "Service", "Worker"]

_ROWS = 256
_NUMBERS = 16  # eight bytes each, for a row
_TEXT = 1024  # bytes, behind the service's own row
_SIZE = (_ROWS + 1) * _NUMBERS * 8 + _TEXT

STARTING, STARTED, FAILED = range(3)

_PID, _BORN, _BEAT, _IN_FLIGHT, _WAITERS, _LAG, _DRAINING, _REQUESTS, _MEMORY, _LOADED = range(10)
_STALLED, _UNSENT = 10, 11


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """One worker at one moment. Times are `time.monotonic()`, in seconds.

    Attributes:
        pid: its process.
        born: when it was forked.
        beat: when its hub last turned; 0.0 before it has turned once.
        loaded: whether it has loaded the application.
        in_flight: requests that it works on.
        waiters: greenlets that wait for a connection of a pool.
        lag: seconds that its hub was late the last time.
        requests: requests that it has ended.
        memory: bytes that are resident.
        draining: whether it was told to end.
        stalled: seconds for which its line of requests has not moved.
        unsent: bytes of answers that wait for slow clients.
    """

    pid: int
    born: float
    beat: float
    loaded: bool
    in_flight: int
    waiters: int
    lag: float
    requests: int
    memory: int
    draining: bool
    stalled: float = 0.0
    unsent: int = 0

    @property
    def silent(self) -> float:
        """Seconds since its hub turned, or since it was born."""
        return time.monotonic() - max(self.beat, self.born)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What concerns all workers, at one moment.

    Attributes:
        arbiter: the arbiter's process.
        phase: STARTING, STARTED or FAILED.
        note: what is being done, or why it failed.
        started: `time.monotonic()` of the start.
        draining: whether the whole service was told to end.
        wanted: how many workers there should be.
    """

    arbiter: int
    phase: int
    note: str
    started: float
    draining: bool
    wanted: int


class Row:
    """The numbers of one worker, to be written by that worker alone.

    Attributes:
        number: which row it is; no two live workers have the same.
    """

    __slots__ = ("_numbers", "number")

    def __init__(self, number: int, numbers: memoryview[float]) -> None:
        self.number = number
        self._numbers = numbers

    def __repr__(self) -> str:
        return f"<Row {self.read()}>"

    def claim(self, pid: int) -> None:
        """Begin as the row of this process, with all else at zero.

        The arbiter claims it as -1 before it forks, the worker as itself.
        """
        for index in range(_NUMBERS):
            self._numbers[index] = 0.0
        self._numbers[_BORN] = time.monotonic()
        self._numbers[_PID] = pid

    def release(self) -> None:
        """Be free for the next worker."""
        self._numbers[_PID] = 0.0

    def beat(self, lag: float) -> None:
        """Say that the hub has turned, late by `lag` seconds."""
        self._numbers[_LAG] = lag
        self._numbers[_BEAT] = time.monotonic()

    def write(
        self,
        *,
        in_flight: int | None = None,
        waiters: int | None = None,
        requests: int | None = None,
        memory: int | None = None,
        draining: bool | None = None,
        loaded: bool | None = None,
        stalled: float | None = None,
        unsent: int | None = None,
    ) -> None:
        """Set those numbers that are given."""
        for index, value in (
            (_IN_FLIGHT, in_flight),
            (_WAITERS, waiters),
            (_REQUESTS, requests),
            (_MEMORY, memory),
            (_DRAINING, draining),
            (_LOADED, loaded),
            (_STALLED, stalled),
            (_UNSENT, unsent),
        ):
            if value is not None:
                self._numbers[index] = value

    def read(self) -> Worker:
        """Return the row as it is now."""
        numbers = self._numbers
        return Worker(
            pid=int(numbers[_PID]),
            born=numbers[_BORN],
            beat=numbers[_BEAT],
            loaded=bool(numbers[_LOADED]),
            in_flight=int(numbers[_IN_FLIGHT]),
            waiters=int(numbers[_WAITERS]),
            lag=numbers[_LAG],
            requests=int(numbers[_REQUESTS]),
            memory=int(numbers[_MEMORY]),
            draining=bool(numbers[_DRAINING]),
            stalled=numbers[_STALLED],
            unsent=int(numbers[_UNSENT]),
        )


class Board:
    """The shared memory of one service.

    Args:
        descriptor: of a board that another process has made; None makes a new one.

    Attributes:
        descriptor: what a child process needs to open it.

    Raises:
        OSError: there is no memory for a new one.
    """

    def __init__(self, descriptor: int | None = None) -> None:
        is_new = descriptor is None
        if descriptor is None:
            descriptor = files.nameless("concurrency-board", _SIZE)
        self.descriptor = descriptor
        self._map = mmap.mmap(descriptor, _SIZE)
        # Items of a cast view are written at once; `struct` goes byte by byte.
        everything = memoryview(self._map)
        self._numbers: memoryview[float] = everything[: _SIZE - _TEXT].cast("d")
        self._text = everything[_SIZE - _TEXT :]
        if is_new:
            self._numbers[_BORN] = time.monotonic()
            self._numbers[_PID] = os.getpid()

    def __repr__(self) -> str:
        return f"<Board {self.service()}, {len(self.workers())} workers>"

    def close(self) -> None:
        """Unmap and close it; rows that were given out cannot be used any more."""
        self._numbers.release()
        self._text.release()
        os.close(self.descriptor)

    def row(self) -> Row:
        """Return a row that is free; for the arbiter, before it forks.

        Raises:
            RuntimeError: there are more workers than rows.
        """
        for row in self._rows():
            if not row.read().pid:
                return row
        raise RuntimeError(f"the board has rows for {_ROWS} workers, and all are taken")

    def workers(self) -> list[Worker]:
        """Return all workers as they are now."""
        return [worker for row in self._rows() if (worker := row.read()).pid > 0]

    def _rows(self) -> Iterator[Row]:
        for number in range(1, _ROWS + 1):
            yield Row(number, self._numbers[number * _NUMBERS : (number + 1) * _NUMBERS])

    def service(self) -> Service:
        """Return what concerns all workers as it is now."""
        numbers = self._numbers
        return Service(
            arbiter=int(numbers[_PID]),
            phase=int(numbers[_REQUESTS]),
            note=bytes(self._text).partition(b"\0")[0].decode(errors="replace"),
            started=numbers[_BORN],
            draining=bool(numbers[_DRAINING]),
            wanted=int(numbers[_IN_FLIGHT]),
        )

    def say(
        self,
        *,
        phase: int | None = None,
        note: str | None = None,
        draining: bool | None = None,
        wanted: int | None = None,
    ) -> None:
        """Set those of the service's own values that are given; for the arbiter."""
        if note is not None:
            self._text[:] = note.encode()[: _TEXT - 1].ljust(_TEXT, b"\0")
        for index, value in ((_REQUESTS, phase), (_DRAINING, draining), (_IN_FLIGHT, wanted)):
            if value is not None:
                self._numbers[index] = value
