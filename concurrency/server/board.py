"""The board: the shared memory in which the processes of one service report their state.

The arbiter creates it before any worker and gives each worker a row. A worker writes only
its own row; the ops process and `manage.py` only read. A row holds numbers of eight bytes,
each written atomically, so no process needs a lock, and a blocked or dead worker cannot
block a reader. The memory is not a file in a folder: full disks and cleanup jobs do not
affect it. Does not depend on gunicorn, gevent or Django.
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
        pid: its process id.
        born: when it was forked.
        beat: its last heartbeat; 0.0 before the first one.
        loaded: whether it has loaded the application.
        in_flight: requests in flight.
        waiters: greenlets that wait for a connection of a pool.
        lag: last measured hub lag, in seconds.
        requests: requests that have ended.
        memory: resident memory in bytes.
        draining: whether it drains.
        stalled: seconds for which its queue of requests has not moved.
        unsent: bytes of responses that wait for slow clients.
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
        """Seconds since its last heartbeat, or since its fork."""
        return time.monotonic() - max(self.beat, self.born)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """The state of the service as a whole, at one moment.

    Attributes:
        arbiter: process id of the arbiter.
        phase: STARTING, STARTED or FAILED.
        note: the current step of the start, or the reason for its failure.
        started: `time.monotonic()` of the start.
        draining: whether the whole service drains.
        wanted: number of workers that should run.
    """

    arbiter: int
    phase: int
    note: str
    started: float
    draining: bool
    wanted: int


class Row:
    """The numbers of one worker; only that worker writes them.

    Attributes:
        number: the index of the row; unique among live workers.
    """

    __slots__ = ("_numbers", "number")

    def __init__(self, number: int, numbers: memoryview[float]) -> None:
        self.number = number
        self._numbers = numbers

    def __repr__(self) -> str:
        return f"<Row {self.read()}>"

    def claim(self, pid: int) -> None:
        """Make this the row of the current process, with all other values at zero.

        The arbiter claims it as -1 before the fork, the worker with its own process id.
        """
        for index in range(_NUMBERS):
            self._numbers[index] = 0.0
        self._numbers[_BORN] = time.monotonic()
        self._numbers[_PID] = pid

    def release(self) -> None:
        """Free the row for the next worker."""
        self._numbers[_PID] = 0.0

    def beat(self, lag: float) -> None:
        """Record a heartbeat, with the hub lag in seconds."""
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
        """Set the given numbers."""
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
        descriptor: of a board that another process has created; None creates a new one.

    Attributes:
        descriptor: a child process needs it to open the board.

    Raises:
        OSError: there is no memory for a new one.
    """

    def __init__(self, descriptor: int | None = None) -> None:
        is_new = descriptor is None
        if descriptor is None:
            descriptor = files.nameless("concurrency-board", _SIZE)
        self.descriptor = descriptor
        self._map = mmap.mmap(descriptor, _SIZE)
        # Items of a cast view are written atomically; `struct` writes byte by byte.
        everything = memoryview(self._map)
        self._numbers: memoryview[float] = everything[: _SIZE - _TEXT].cast("d")
        self._text = everything[_SIZE - _TEXT :]
        if is_new:
            self._numbers[_BORN] = time.monotonic()
            self._numbers[_PID] = os.getpid()

    def __repr__(self) -> str:
        return f"<Board {self.service()}, {len(self.workers())} workers>"

    def close(self) -> None:
        """Unmap and close it; its rows become unusable."""
        self._numbers.release()
        self._text.release()
        os.close(self.descriptor)

    def row(self) -> Row:
        """Return a free row; for the arbiter, before it forks.

        Raises:
            RuntimeError: there are more workers than rows.
        """
        for row in self._rows():
            if not row.read().pid:
                return row
        raise RuntimeError(f"the board has rows for {_ROWS} workers, and all are taken")

    def workers(self) -> list[Worker]:
        """Return the current state of all workers."""
        return [worker for row in self._rows() if (worker := row.read()).pid > 0]

    def _rows(self) -> Iterator[Row]:
        for number in range(1, _ROWS + 1):
            yield Row(number, self._numbers[number * _NUMBERS : (number + 1) * _NUMBERS])

    def service(self) -> Service:
        """Return the current state of the service as a whole."""
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
        """Set the given values of the service; for the arbiter."""
        if note is not None:
            self._text[:] = note.encode()[: _TEXT - 1].ljust(_TEXT, b"\0")
        for index, value in ((_REQUESTS, phase), (_DRAINING, draining), (_IN_FLIGHT, wanted)):
            if value is not None:
                self._numbers[index] = value
