"""What binding values at the server, and prepared statements, gain: `python -m bench.binding`.

Django binds on the client and prepares nothing, for the sake of poolers between it and the
server. A pool of this package keeps its sessions, so both can be had. Measured in one run and
in turn: the time of a query, and the CPU that it costs on either side. There is no limit to
miss: docs/database.md says when to use which.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys

from bench import command
from bench.database import database
from bench.report import table

__all__ = ["main"]

_TITLES = {
    "client": "bound by the client (Django's default)",
    "server": "server_side_binding",
    "prepared": "server_side_binding, prepare_threshold 0",
}


def _us(seconds: float | None) -> str:
    return "not on this machine" if seconds is None else f"{seconds * 1e6:.0f} us"


def main(arguments: list[str] | None = None) -> int:
    """Run the measurement and print a table for each query."""
    parser = argparse.ArgumentParser(prog="python -m bench.binding", description=__doc__)
    parser.add_argument("--queries", type=int, default=4000, help="of each kind and way")
    options = parser.parse_args(arguments)
    with database() as url:
        done = subprocess.run(  # noqa: S603 - our own module
            [sys.executable, "-m", "bench.binding_peer", str(options.queries)],
            env={**os.environ, "DATABASE_URL": url},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        sys.stderr.write(done.stderr[-2000:])
        return 1
    for query, ways in json.loads(done.stdout).items():
        default = ways["client"]["seconds"]
        rows = [
            (
                _TITLES[way],
                _us(each["seconds"]),
                f"{each['seconds'] / default - 1:+.0%}",
                _us(each["client"]),
                _us(each["server"]),
            )
            for way, each in ways.items()
        ]
        head = (query, "a query", "", "CPU of the client", "CPU of the server")
        print(table(head, rows))  # noqa: T201
    return 0


if __name__ == "__main__":
    command.run(main)
