"""Starts database, server and clients, watches them, and says what came of it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from bench import locusts
from bench.database import ConnectionCounter, database, named
from bench.facts import facts
from bench.processes import CpuMeter
from bench.report import Measurement, render
from bench.scenario import Scenario
from bench.server import WebServer

__all__ = ["run"]

# How much longer than its time Locust may take to start, to end and to write its files.
LOCUST_MARGIN = 60
_LOOK_EVERY = 0.5

Say = Callable[[str], None]


def run(scenario: Scenario, results: Path, say: Say) -> Measurement:
    """Measure, and leave CSV files, Locust's report and ``env.json`` in a new folder.

    Args:
        scenario: what to measure.
        results: the folder in which the new one is made, named by the time.
        say: is called with each line that tells how far it is.
    """
    folder = results / datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
    folder.mkdir(parents=True)
    say("starting the database")
    with database() as url, ConnectionCounter(url) as counter:
        known = facts(scenario, counter.version())
        (folder / "env.json").write_text(json.dumps(known, indent=2) + "\n")
        say("starting gunicorn with one worker")
        with _server(scenario, url) as server:
            say(f"warming up for {scenario.warm_up} s with {scenario.clients} clients")
            _load(scenario, server, counter, folder / "warm-up", scenario.warm_up, say)
            say(f"measuring for {scenario.duration} s")
            prefix = folder / "load"
            cores = _load(scenario, server, counter, prefix, scenario.duration, say)
            measurement = _measurement(scenario, prefix, counter, cores)
            (folder / "server.log").write_text(server.log(100_000))
    (folder / "report.txt").write_text(render(measurement) + "\n")
    say(f"results are in {folder}")
    return measurement


def _server(scenario: Scenario, url: str) -> WebServer:
    environment = {
        "DATABASE_URL": named(url),
        "DATABASE_POOL_MAX_SIZE": str(scenario.pool),
        "DATABASE_POOL_TIMEOUT": "30",
        # As in production, without a log line for each request, but over plain HTTP.
        "ENVIRONMENT": "settings.production",
        "SECURE_SSL_REDIRECT": "False",
        # It is alone.
        "SERVICE_TOKENS_REQUIRED": "False",
    }
    return WebServer(environment)


def _load(
    scenario: Scenario,
    server: WebServer,
    counter: ConnectionCounter,
    prefix: Path,
    duration: int,
    say: Say,
) -> list[float]:
    """Run the clients for ``duration`` seconds; return cores used: server, clients, machine."""
    environment = {**os.environ, "DEMO_USER": server.user, "DEMO_PASSWORD": server.password}
    progress = _progress(prefix, say)
    clients = locusts.start_locust(scenario, server.url, environment, prefix, duration)
    try:
        meters = [CpuMeter(pid) for pid in (server.process.pid, clients.pid, None)]
        for open_now in _until_ended(clients, counter, duration + scenario.ramp):
            for meter in meters:
                meter.look()
            progress(open_now)
    finally:
        if clients.poll() is None:
            clients.kill()
            clients.wait()
    return [meter.cores for meter in meters]


def _measurement(
    scenario: Scenario, prefix: Path, counter: ConnectionCounter, used: list[float]
) -> Measurement:
    """Return what the clients and the database saw."""
    result = locusts.read_result(prefix)
    server, clients, machine = used
    return Measurement(
        requests=result.requests,
        failures=result.failures,
        rate=result.rate,
        ideal=scenario.ideal,
        pool=scenario.pool,
        connections=counter.most,
        median_ms=result.median_ms,
        p99_ms=result.p99_ms,
        server_cores=server,
        client_cores=clients,
        machine_cores=machine,
        cores=os.cpu_count() or 1,
    )


def _until_ended(
    clients: subprocess.Popen[bytes], counter: ConnectionCounter, duration: int
) -> Iterator[int]:
    """Yield the number of open connections, now and then, until the clients have ended.

    Raises:
        RuntimeError: they did not end long after their time.
    """
    limit = time.monotonic() + duration + LOCUST_MARGIN
    while clients.poll() is None:
        if time.monotonic() > limit:
            raise RuntimeError(f"Locust did not end {LOCUST_MARGIN} s after its time")
        yield counter.count()
        time.sleep(_LOOK_EVERY)


def _progress(prefix: Path, say: Say) -> Callable[[int], None]:
    """Return what tells, once a second, how far the clients are."""
    start, told = time.monotonic(), 0

    def tell(open_now: int) -> None:
        nonlocal told
        elapsed = int(time.monotonic() - start)
        if elapsed > told and (seen := locusts.last_counts(prefix)):
            told = elapsed
            requests, failures = seen
            say(
                f"  {elapsed:3d} s  {requests:6d} requests  "
                f"{open_now:3d} connections  {failures} errors"
            )

    return tell
