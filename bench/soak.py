"""Let mixed traffic run for long, restart the server meanwhile, and look for growth.

``make soak``. The traffic is that of ``bench.soaking``, in a process for each driver;
its memory, its file descriptors and its sessions on the server are watched from
here. Exit code 1: something has grown, an answer was wrong, a row was lost or half
written, somebody was stuck, or the pool was not whole at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg

from deploy.localdb import LocalPostgres

DRIVERS = ("psycopg3", "psycopg2")
CLIENTS = 24
SIZE = 8
# Between the second quarter of a run and the last one: more than this is growth.
MEGABYTES_ALLOWED = 12.0
DESCRIPTORS_ALLOWED = 8


@dataclass(slots=True)
class Samples:
    """What was seen of a process and of its sessions, one entry for each look."""

    megabytes: list[float] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)
    sessions: list[int] = field(default_factory=list)

    def look(self, process: psutil.Process, url: str) -> None:
        """Take one sample; a server that is being restarted has no sessions."""
        self.megabytes.append(process.memory_info().rss / 2**20)
        self.descriptors.append(process.num_fds())
        if not url.startswith("postgres"):
            return
        try:
            with psycopg.connect(url, connect_timeout=2) as connection:
                row = connection.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'soak'"
                ).fetchone()
        except psycopg.Error:
            return
        self.sessions.append(row[0] if row else 0)

    def growth(self) -> tuple[float, float]:
        """Return by how many megabytes and descriptors the last quarter exceeds the second."""
        quarter = len(self.megabytes) // 4
        if not quarter:
            return 0.0, 0.0
        early, late = slice(quarter, 2 * quarter), slice(-quarter, None)
        return (
            statistics.median(self.megabytes[late]) - statistics.median(self.megabytes[early]),
            statistics.median(self.descriptors[late]) - statistics.median(self.descriptors[early]),
        )


def run(driver: str, options: argparse.Namespace, server: LocalPostgres | None, url: str) -> bool:
    """Run the traffic on one driver, print what was seen, and return whether it was right."""
    command = [sys.executable, "-m", "bench.soaking", driver, str(options.seconds)]
    command += [str(options.numbers), str(CLIENTS), str(SIZE)]
    samples = Samples()
    restarts = 0
    with subprocess.Popen(  # noqa: S603 - this interpreter and this module
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "DATABASE_URL": url}
    ) as process:
        try:
            seen = psutil.Process(process.pid)
            started = restarted = time.monotonic()
            while process.poll() is None:
                time.sleep(0.5)
                now = time.monotonic()
                # Never near the end, where the last rows are looked for.
                due = now - restarted > options.restart_every
                if server and due and now - started < options.seconds * 0.8:
                    server.stop()
                    server.start()
                    restarts, restarted = restarts + 1, time.monotonic()
                if process.poll() is None and seen.status() != psutil.STATUS_ZOMBIE:
                    samples.look(seen, url)
        except psutil.NoSuchProcess:
            pass
        finally:
            if process.poll() is None:
                process.terminate()
        output = process.stdout.read() if process.stdout else ""
    if process.returncode != 0:
        sys.stdout.write(f"{driver}: the traffic ended with exit code {process.returncode}\n")
        return False
    return report(driver, json.loads(output.splitlines()[-1]), samples, restarts)


def report(driver: str, result: dict[str, object], samples: Samples, restarts: int) -> bool:
    """Print a table, and return whether all of it is right."""
    megabytes, descriptors = samples.growth()
    most = max(samples.sessions, default=0)
    pool = result["pool"]
    assert isinstance(pool, dict)  # noqa: S101 - as bench.soaking prints it
    whole = not any(pool[key] for key in ("in_use", "connecting", "discarding", "waiting"))
    rows: list[tuple[str, object, bool]] = [
        ("numbers asked for", f"{result['numbers']:,}", True),
        ("wrong answers", result["wrong"], not result["wrong"]),
        ("rows lost", result["lost"], not result["lost"]),
        ("transactions half written", result["torn"], not result["torn"]),
        ("clients stuck", result["stuck"], not result["stuck"]),
        ("restarts of the server", restarts, True),
        ("most sessions", f"{most} of {SIZE}", most <= SIZE),
        ("memory", _range(samples.megabytes, "MB"), True),
        ("memory grown by", f"{megabytes:.1f} MB", megabytes <= MEGABYTES_ALLOWED),
        ("file descriptors", _range(samples.descriptors, ""), True),
        ("descriptors grown by", f"{descriptors:g}", descriptors <= DESCRIPTORS_ALLOWED),
        ("pool at the end", "whole" if whole else pool, whole),
        ("errors expected", _counts(result["errors"]), True),
        ("errors unexpected", result["unexpected"] or 0, not result["unexpected"]),
        ("done", _counts(result["done"]), True),
    ]
    sys.stdout.write(f"\n{driver}\n")
    for name, value, fine in rows:
        sys.stdout.write(f"  {name:<26} {value}{'' if fine else '   <-- WRONG'}\n")
    sys.stdout.flush()
    return all(fine for _, _, fine in rows)


def _range(values: Sequence[float], unit: str) -> str:
    return f"{min(values, default=0):.0f} to {max(values, default=0):.0f} {unit}".strip()


def _counts(counts: object) -> str:
    assert isinstance(counts, dict)  # noqa: S101 - as bench.soaking prints it
    return ", ".join(f"{name} {number}" for name, number in sorted(counts.items())) or "none"


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="in all (600)")
    parser.add_argument(
        "--driver", action="append", choices=(*DRIVERS, "pymysql"), help="repeat for several"
    )
    parser.add_argument(
        "--numbers", type=int, default=0, help="go on until each driver has asked for as many"
    )
    parser.add_argument("--restart-every", type=float, default=30.0, help="seconds; 0: never")
    parser.add_argument("--url", help="a server that runs; it is not restarted")
    options = parser.parse_args(given)
    options.driver = options.driver or list(DRIVERS)
    if "pymysql" in options.driver and not options.url:
        parser.error("--driver pymysql needs the --url of a MariaDB or MySQL")
    options.seconds /= len(options.driver)
    options.restart_every = options.restart_every or float("inf")
    return options


def main(given: Sequence[str] | None = None) -> int:
    """Run the soak and return the exit code."""
    options = arguments(given)
    if options.url:
        fine = [run(name, options, None, options.url) for name in options.driver]
        return 0 if all(fine) else 1
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        # Not a temporary one, which would lose its data with its first restart.
        server = LocalPostgres(Path(folder))
        try:
            server.start()
            fine = [run(name, options, server, server.url) for name in options.driver]
        finally:
            server.delete()
    return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main())
