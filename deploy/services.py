"""The services of the Procfile: their ports, their addresses, and all of their processes.

Owns where they listen on this machine, and how they are found again when whoever started them is
gone. Must not import Django or the settings.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from deploy import envfile, processes

PROCFILE = envfile.ROOT / "Procfile"
MARK = "MAKE_RUN"  # in the environment of all that `make run` starts

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
    processes.end_those_with(MARK, mark)
