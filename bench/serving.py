"""What clients of a worker feel, gunicorn's own beside ours: `python -m bench.serving`.

* fairness: 50 clients with their next request always ready, on a view that waits for nothing;
* overload: a view of 5 ms of work at 80 % of what the worker can do, and at twice as much;
* drain: SIGTERM with 200 requests in flight, and with one idle client;
* the monitor of the hub: what it costs a process that computes.

Exits with 1 when ours misses one of the limits, which are printed beside the figures.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass

from bench import command
from bench.clients import Answers, Clients
from bench.report import table
from bench.served import OURS, STOCK, Server, environment, probing, serving
from bench.server import ROOT

__all__ = ["main"]

_NAMES = {STOCK: "gunicorn's own", OURS: "ours"}

_CLIENTS = 50  # of the fairness
_WORK = "/burn/5/"  # of the overload

# Limits of ours.
_FAIR = 3.0  # p99 in rounds of all clients
_LATE = 3.0  # p99 at twice the capacity, in those at 80 %
_REFUSED = 0.1  # seconds until a refusal
_IDLE = 1.0  # seconds that an idle client may hold up the exit
_MONITOR = 0.01  # share of the processor


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the report; ``good`` is None where there is no limit."""

    what: str
    values: tuple[str, str]
    limit: str
    good: bool | None


def fairness(seconds: float, rounds: int) -> list[Figure]:
    """Compare the times of clients that always have their next request ready."""
    found: dict[str, list[Answers]] = {STOCK: [], OURS: []}
    for _ in range(rounds):
        for worker, answers in found.items():
            with serving(worker) as server:
                answers.append(Clients(server.port, "/").closed(_CLIENTS, seconds))
    best = {worker: min(answers, key=_rounds) for worker, answers in found.items()}
    ours = best[OURS]
    return [
        _figure("fairness: answers a second", best, lambda a: f"{a.rate:.0f}"),
        _figure("fairness: median", best, lambda a: f"{a.quantile(0.5) * 1e3:.1f} ms"),
        _figure(
            "fairness: 99 %",
            best,
            lambda a: f"{a.quantile(0.99) * 1e3:.1f} ms",
            f"{_FAIR * _CLIENTS / ours.rate * 1e3:.0f} ms",
            _rounds(ours) < _FAIR,
        ),
    ]


def _rounds(answers: Answers) -> float:
    """Return the slow times in rounds: as long as it takes to serve each client once."""
    return answers.quantile(0.99) * answers.rate / _CLIENTS


def overload(seconds: float) -> list[Figure]:
    """Compare the times of accepted requests at 80 % of the capacity and at twice as much."""
    calm, crowded, failed = {}, {}, {}
    for worker in (STOCK, OURS):
        with serving(worker) as server:
            capacity = Clients(server.port, _WORK).closed(4, 2).rate
            calm[worker] = Clients(server.port, _WORK).opened(capacity * 0.8, seconds)
            with probing(server.ops_port if worker == OURS else server.port) as alive:
                crowded[worker] = Clients(server.port, _WORK).opened(capacity * 2, seconds)
            failed[worker] = sum(not good for good in alive)
    ours, before = crowded[OURS], calm[OURS].quantile(0.99)
    refused = ours.quantile(0.99, 503)
    others = sum(ours.count(status) for status in ours.times if status not in (200, 503))
    return [
        _figure("80 % load: 99 %", calm, lambda a: f"{a.quantile(0.99) * 1e3:.0f} ms"),
        _figure("200 % load: accepted", crowded, lambda a: str(a.count(200))),
        _figure(
            "200 % load: 99 % of the accepted",
            crowded,
            lambda a: f"{a.quantile(0.99) * 1e3:.0f} ms",
            f"{_LATE * before * 1e3:.0f} ms",
            ours.quantile(0.99) <= _LATE * before,
        ),
        _figure("200 % load: refused", crowded, lambda a: str(a.count(503))),
        _figure(
            "200 % load: 99 % of the refused",
            crowded,
            lambda a: f"{a.quantile(0.99, 503) * 1e3:.0f} ms",
            f"{_REFUSED * 1e3:.0f} ms",
            0 < refused <= _REFUSED and not others,
        ),
        _figure("200 % load: failed probes of liveness", failed, str, "0", failed[OURS] == 0),
    ]


def drain() -> list[Figure]:
    """Compare what clients see when a worker is told to end."""
    failed, idle = {}, {}
    for worker in (STOCK, OURS):
        with serving(worker) as server:
            failed[worker] = _failed_in_flight(server, 200)
        with serving(worker) as server:
            client = socket.create_connection(("127.0.0.1", server.port))
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            client.recv(4096)
            idle[worker] = server.stop()
            client.close()
    return [
        _figure("SIGTERM: failed of 200 in flight", failed, str, "0", failed[OURS] == 0),
        _figure(
            "SIGTERM: exit with an idle client",
            idle,
            lambda seconds: f"{seconds:.2f} s",
            f"{_IDLE:.0f} s",
            idle[OURS] < _IDLE,
        ),
    ]


def _failed_in_flight(server: Server, count: int) -> int:
    """Return how many of the requests in flight at SIGTERM got no good answer."""
    clients = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(count)]
    for client in clients:
        client.sendall(b"GET /wait/3000/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
    time.sleep(1.0)
    server.process.terminate()
    failed = 0
    for client in clients:
        client.settimeout(10)
        try:
            failed += not client.recv(4096).startswith(b"HTTP/1.1 200")
        except OSError:
            failed += 1
        client.close()
    server.process.wait(60)
    return failed


# At its own pace it costs less than can be told from chance: it looks ten times as often.
_MONITORED = """
import concurrency.patch
import sys, time, statistics, gevent
from concurrency.observe.hub import Monitor
def cost(seconds):
    begun, work = time.process_time(), 0
    while time.process_time() - begun < seconds:
        gevent.sleep(0)
        for _ in range(2000):
            work += 1
    return (time.process_time() - begun) / work
ratios = []
for _ in range(int(sys.argv[1])):
    without = cost(0.2)
    monitor = Monitor(0.5 / 10)
    monitor.start()
    ratios.append(cost(0.2) / without)
    monitor.stop()
print((statistics.median(ratios) - 1) / 10)
"""


def monitor(rounds: int) -> list[Figure]:
    """Measure the processor time of the same work with and without the hub's monitor."""
    shares = [
        float(
            subprocess.run(  # noqa: S603 - our own code
                [sys.executable, "-c", _MONITORED, "20"],
                cwd=ROOT,
                env=environment(),
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        )
        for _ in range(rounds)
    ]
    share = statistics.median(shares)
    return [Figure("monitor: processor", ("", f"{share:+.2%}"), "1 %", share < _MONITOR)]


def _figure(what, values, show, limit="", good=None) -> Figure:  # type: ignore[no-untyped-def]
    """Return a line with a value of each worker."""
    return Figure(what, (show(values[STOCK]), show(values[OURS])), limit, good)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; 1 when a limit is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.serving", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="length of a measurement")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of which one counts")
    parser.add_argument(
        "--only", choices=("fairness", "overload", "drain", "monitor"), help="measure only this"
    )
    options = parser.parse_args(arguments)
    parts = {
        "fairness": lambda: fairness(options.seconds, options.rounds),
        "overload": lambda: overload(options.seconds),
        "drain": drain,
        "monitor": lambda: monitor(options.rounds),
    }
    figures = [
        figure for name, part in parts.items() if options.only in (None, name) for figure in part()
    ]
    rows = [
        (f.what, *f.values, f.limit, {None: "", True: "yes", False: "NO"}[f.good]) for f in figures
    ]
    print(table(("measured", _NAMES[STOCK], _NAMES[OURS], "limit", "kept"), rows))  # noqa: T201
    if os.getloadavg()[0] > (os.cpu_count() or 1):
        print("note: this machine has more to do than it can, which shows in all times.")  # noqa: T201
    return 1 if any(figure.good is False for figure in figures) else 0


if __name__ == "__main__":
    command.run(main)
