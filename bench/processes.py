"""How much CPU a process and its children use, or the whole machine."""

from __future__ import annotations

import time

import psutil

__all__ = ["CpuMeter"]


class CpuMeter:
    """Measures the CPU of a process with all its children, from now until the last look.

    Args:
        pid: the process; None for the whole machine.
    """

    def __init__(self, pid: int | None) -> None:
        self._root = psutil.Process(pid) if pid is not None else None
        self._since = self._until = time.monotonic()
        self._before = self._after = self._seconds() or 0.0

    def look(self) -> None:
        """Read the clock and the CPU; does nothing when the process has ended."""
        if (seconds := self._seconds()) is not None:
            self._until, self._after = time.monotonic(), seconds

    @property
    def seconds(self) -> float:
        """The CPU used between the start and the last look, in seconds."""
        return self._after - self._before

    @property
    def cores(self) -> float:
        """The average use between the start and the last look, in cores."""
        elapsed = self._until - self._since
        return self.seconds / elapsed if elapsed else 0.0

    def _seconds(self) -> float | None:
        """Return the CPU seconds of the process and its children, None when it has ended."""
        if self._root is None:
            times = psutil.cpu_times()
            return times.user + times.system
        try:
            if self._root.status() == psutil.STATUS_ZOMBIE:
                return None
            family = [self._root, *self._root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return None
        total = 0.0
        for process in family:
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += times.user + times.system
        return total
