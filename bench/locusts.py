"""Runs Locust without its web page, and reads what it measured.

Locust is a process of its own: this one is not patched, and its work must not
slow down the clients.
"""

from __future__ import annotations

import csv
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.scenario import Scenario
from bench.server import ROOT

__all__ = ["LocustResult", "last_counts", "read_result", "start_locust"]


@dataclass(frozen=True, slots=True)
class LocustResult:
    """What Locust counted over the whole measurement; times are milliseconds."""

    requests: int
    failures: int
    rate: float
    median_ms: float
    p99_ms: float


def start_locust(
    scenario: Scenario, url: str, environment: dict[str, str], prefix: Path, duration: int
) -> subprocess.Popen[bytes]:
    """Start the clients; the files ``prefix_stats.csv``, ``prefix.html`` and others are theirs.

    Args:
        scenario: which clients, and how many.
        url: the server's address.
        environment: all variables of the new process.
        prefix: the beginning of the names of the files.
        duration: how long they run, in seconds.
    """
    ramp = max(1, scenario.ramp)
    command = [
        *(sys.executable, "-m", "locust", "-f", "bench/locustfile.py", scenario.user),
        *("--host", url, "--headless", "--only-summary", "--reset-stats"),
        *("--users", str(scenario.clients)),
        *("--spawn-rate", str(max(1, scenario.clients / ramp))),
        # What is counted while the clients start is thrown away.
        *("--run-time", f"{duration + ramp}s", "--loglevel", "WARNING"),
        *("--csv", str(prefix), "--html", f"{prefix}.html", "--exit-code-on-error", "0"),
    ]
    with Path(f"{prefix}.log").open("wb") as log:
        return subprocess.Popen(  # noqa: S603 - our own clients
            command,
            cwd=ROOT,
            env={**environment, "BENCH_SECONDS": str(scenario.seconds)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def read_result(prefix: Path) -> LocustResult:
    """Return what the clients have counted.

    Raises:
        RuntimeError: there is no complete result; the text has the end of Locust's log.
    """
    file, log = Path(f"{prefix}_stats.csv"), Path(f"{prefix}.log")
    rows = list(csv.DictReader(file.read_text().splitlines())) if file.exists() else []
    total = next((row for row in rows if row["Name"] == "Aggregated"), None)
    if total is None or not int(total["Request Count"]):
        raise RuntimeError(f"Locust measured nothing. Its log:\n{log.read_text()[-2000:]}")
    return LocustResult(
        requests=int(total["Request Count"]),
        failures=int(total["Failure Count"]),
        rate=float(total["Requests/s"]),
        median_ms=float(total["50%"]),
        p99_ms=float(total["99%"]),
    )


def last_counts(prefix: Path) -> tuple[int, int] | None:
    """Return requests and failures so far as last written, None before the first."""
    file = Path(f"{prefix}_stats_history.csv")
    rows = list(csv.DictReader(file.read_text().splitlines())) if file.exists() else []
    for row in reversed(rows):
        try:
            return int(row["Total Request Count"]), int(row["Total Failure Count"])
        except (KeyError, TypeError, ValueError):
            continue  # a line that is only half written
    return None
