"""The services of the Procfile: their ports, their addresses, and all of their processes.

Owns where they listen on this machine, and how they are found again when whoever started them is
gone. Must not import Django or the settings.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deploy import envfile

PROCFILE = envfile.ROOT / "Procfile"
MARK = "MAKE_RUN"  # in the environment of all that `make run` starts
STOP_LIMIT = 10  # seconds for those that were left alone, then they are killed
POLL = 0.05  # seconds

_LINE = re.compile(r"^(\w+):.*\bPORT=\$\{PORT_\w+:-(\d+)\}", re.MULTILINE)
FIRST = "frontend"


@dataclass(frozen=True, slots=True)
class Service:
    """One service and where it listens."""

    name: str
    host: str
    port: int

    @property
    def reachable(self) -> str:
        """The address by which it is reached from this machine."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104

    @property
    def url(self) -> str:
        """Its URL from this machine, without a slash at the end."""
        host = f"[{self.reachable}]" if ":" in self.reachable else self.reachable
        return f"http://{host}:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What tells the Procfile its port, and other services where it is."""
        name = self.name.upper()
        there = {f"PORT_{name}": str(self.port)}
        return {f"SERVICE_URL_{name}": self.url, **there}


def read(host: str, first: int, procfile: Path = PROCFILE) -> list[Service]:
    """Return the services; all ports move with that of the first one.

    Args:
        host: The address on which they listen.
        first: The port of the frontend.
        procfile: What says who they are, and their usual ports.
    """
    usual = {name: int(port) for name, port in _LINE.findall(procfile.read_text("utf-8"))}
    return [Service(name, host, port - usual[FIRST] + first) for name, port in usual.items()]


def end_those_with(mark: str) -> None:
    """End all processes that have this mark in their environment: politely, then not."""
    until = time.monotonic() + STOP_LIMIT
    number = signal.SIGTERM
    told: set[int] = set()
    while left := list(_those_with(mark)):
        if time.monotonic() > until:
            number = signal.SIGKILL
            told.clear()
        for pid in left:
            if pid not in told:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
                told.add(pid)
        time.sleep(POLL)


def _those_with(mark: str) -> Iterator[int]:
    wanted = f"{MARK}={mark}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        # Processes come and go, and those of others cannot be looked at.
        with contextlib.suppress(OSError):
            if wanted in (folder / "environ").read_bytes().split(b"\0") and _lives(folder):
                yield int(folder.name)


def _lives(folder: Path) -> bool:
    """Return whether a process is more than the memory of one."""
    return (folder / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
