"""The record of a running service: whose it is and where it listens, in its folder.

Written by the arbiter; read by commands of the same user, which find a service by it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from concurrency.server import folder
from concurrency.server.option_sources import collect, identity
from concurrency.server.options import ServeOptions

__all__ = ["Record", "find", "holder", "of_running_services"]

_NAME = "record.json"


@dataclass(frozen=True, slots=True)
class Record:
    """Where a service listens.

    Attributes:
        pid: its arbiter.
        project: the settings that it was started with, see ``sources.identity``.
        application: port of the application, or 0 where it has none.
        ops: host and port of the ops port; None where there is none.
        paths: of the probes, by kind.
    """

    pid: int
    project: str
    application: int
    ops: tuple[str, int] | None
    paths: dict[str, str]

    def write(self, place: Path) -> None:
        """Put it into the service's folder, in one step: others may read it meanwhile."""
        new = place / f"{_NAME}.new"
        new.write_text(json.dumps(asdict(self)))
        new.rename(place / _NAME)


def of_running_services() -> list[Record]:
    """Return the records of this user's services that run."""
    found: list[Record] = []
    try:
        places = [place for _, place in folder.running()]
    except OSError:
        return found  # there is no place for records
    for place in places:
        try:
            data = json.loads((place / _NAME).read_text())
        except (OSError, ValueError):
            continue  # it begins or ends at this moment
        data["ops"] = data["ops"] and tuple(data["ops"])
        found.append(Record(**data))
    return found


def holder(port: int) -> str:
    """Return who listens on a port, as far as this user's services are concerned."""
    for record in of_running_services():
        if record.application == port or (record.ops and record.ops[1] == port):
            return f"the service of process {record.pid}"
    return ""


def find(options: ServeOptions) -> ServeOptions:
    """Return the options with the ops port of this project's service that runs here.

    A port that the environment names is taken as it is, and so is that of the settings
    where it belongs to a service of this project.

    Raises:
        LookupError: several services of this project run; the message lists them.
    """
    own = identity()
    mine = [one for one in of_running_services() if own and one.project == own and one.ops]
    asked = {"port", "bind", "ops_port", "ops_bind"} & collect().keys()
    if asked or not mine or options.ops_address in [one.ops for one in mine]:
        return options
    if len(mine) > 1:
        listed = ", ".join(f"{one.ops[1]} of process {one.pid}" for one in mine if one.ops)
        raise LookupError(
            f"several services of this project run, with the ops ports {listed}: choose one "
            f"by CONCURRENCY_OPS_PORT"
        )
    (one,) = mine
    host, port = one.ops or options.ops_address
    paths: dict[str, Any] = {f"{kind}_path": path for kind, path in one.paths.items()}
    return replace(options, ops_bind=host, ops_port=port, **paths)
