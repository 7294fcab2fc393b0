"""Processes that are found by what they have inherited: one variable of their environment.

So they are found again when whoever started them is gone, wherever in the tree they are. Needs
`/proc`; where there is none, nothing is found.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

STOP_LIMIT = 10  # seconds for those that were left alone, then they are killed
POLL = 0.05  # seconds


def end_those_with(variable: str, prefix: str) -> None:
    """End all processes whose variable begins like this: politely, then not."""
    until = time.monotonic() + STOP_LIMIT
    number = signal.SIGTERM
    told: set[int] = set()
    while left := list(those_with(variable, prefix)):
        if time.monotonic() > until:
            number = signal.SIGKILL
            told.clear()
        for pid in left:
            if pid not in told:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
                    os.kill(pid, signal.SIGCONT)  # one that was stopped would not notice
                told.add(pid)
        time.sleep(POLL)


def children(pid: int) -> list[int]:
    """Return the processes that a process has started itself."""
    try:
        return [int(x) for x in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def those_with(variable: str, prefix: str) -> Iterator[int]:
    """Yield the processes whose variable begins like this."""
    wanted = f"{variable}={prefix}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        # Processes come and go, and those of others cannot be looked at.
        with contextlib.suppress(OSError):
            variables = (folder / "environ").read_bytes().split(b"\0")
            if any(each.startswith(wanted) for each in variables) and _lives(folder):
                yield int(folder.name)


def _lives(folder: Path) -> bool:
    """Return whether a process is more than the memory of one."""
    return (folder / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
