"""Let mixed traffic run for long, restart the servers meanwhile, and look for growth.

``make soak``. The traffic is that of ``bench.soak.traffic``, in a process for each driver,
all at the same time; their memory, their file descriptors and their sessions on the
servers are watched from here. Exit code 1: something has grown, an answer was wrong, a row
was lost or half written, somebody was stuck, or a pool was not whole at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import psutil

from bench import command
from bench.soak.report import Samples, report
from bench.soak.servers import SERVERS, Server, missing

CLIENTS = 24
SIZE = 8


class Run:
    """The traffic on one driver, and what is seen of it."""

    def __init__(self, driver: str, server: Server, options: argparse.Namespace) -> None:
        self.driver = driver
        self.server = server
        self._samples = Samples()
        command = [sys.executable, "-m", "bench.soak.traffic", driver, str(options.seconds)]
        command += [str(options.numbers), str(CLIENTS), str(SIZE)]
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter and this module
            command,
            stdout=subprocess.PIPE,
            text=True,
            process_group=0,  # Ctrl-C comes to us alone
            env={**os.environ, "DATABASE_URL": server.url},
        )
        self._seen = psutil.Process(self._process.pid)

    def goes_on(self) -> bool:
        """Return whether the traffic has not ended."""
        return self._process.poll() is None

    def look(self, restarted: bool) -> None:
        """Take a sample, and note a restart of the server."""
        self._samples.restarts += restarted
        sessions = self.server.sessions(f"soak-{self.driver}")
        try:
            if self.goes_on() and self._seen.status() != psutil.STATUS_ZOMBIE:
                self._samples.look(self._seen, sessions)
        except psutil.NoSuchProcess:
            return

    def stop(self) -> None:
        """End the traffic if it goes on."""
        if self.goes_on():
            self._process.terminate()
        self._process.wait()

    def is_right(self) -> bool:
        """Print what was seen, and return whether it was right."""
        output = self._process.stdout.read() if self._process.stdout else ""
        if self._process.wait() != 0:
            code = self._process.returncode
            sys.stdout.write(f"\n{self.driver}: the traffic ended with exit code {code}\n")
            return False
        return report(self.driver, json.loads(output.splitlines()[-1]), self._samples, SIZE)


def soak(options: argparse.Namespace, folder: Path, stack: ExitStack) -> bool:
    """Run the traffic on all drivers, and return whether everything was right."""
    kinds = {SERVERS[driver] for driver in options.driver}
    servers = {kind: kind(folder, stack) for kind in kinds}
    runs = [Run(driver, servers[SERVERS[driver]], options) for driver in options.driver]
    for run in runs:
        stack.callback(run.stop)
    started = restarted = time.monotonic()
    while any(run.goes_on() for run in runs):
        time.sleep(0.5)
        now = time.monotonic()
        # Never near the end, where the last rows are looked for.
        due = now - restarted > options.restart_every and now - started < options.seconds * 0.8
        again = [server for server in servers.values() if due and server.restart()]
        restarted = time.monotonic() if due else restarted
        for run in runs:
            run.look(run.server in again)
    right = [run.is_right() for run in runs]
    return all(right)


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="for all at once (600)")
    parser.add_argument("--driver", action="append", choices=SERVERS, help="repeat for several")
    parser.add_argument(
        "--numbers", type=int, default=0, help="go on until each driver has asked for as many"
    )
    parser.add_argument("--restart-every", type=float, default=30.0, help="seconds; 0: never")
    options = parser.parse_args(given)
    options.driver = options.driver or list(SERVERS)
    options.restart_every = options.restart_every or float("inf")
    return options


def main(given: Sequence[str] | None = None) -> int:
    """Run the soak and return the exit code."""
    options = arguments(given)
    for driver in list(options.driver):
        if program := missing(driver):
            sys.stdout.write(f"{driver} is left out: {program} is not installed\n")
            options.driver.remove(driver)
    if not options.driver:
        return 1
    with tempfile.TemporaryDirectory(prefix="soak-") as folder, ExitStack() as stack:
        return 0 if soak(options, Path(folder), stack) else 1


if __name__ == "__main__":
    command.run(main)
