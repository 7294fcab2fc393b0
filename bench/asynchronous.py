"""What asynchronous code costs in greenlets: `python -m bench.asynchronous`.

* what a running loop adds to each switch of greenlets;
* an asynchronous view with three awaited queries, with one client and with fifty: under
  gunicorn with our worker, and under uvicorn[standard] with a thread
  for each request or with one for all; beside it the same view without `async`.

The servers, each with one process, are asked in turn. Exits non-zero when a switch costs more
than a microsecond, or uvicorn is faster with one client, or not 1.3 times slower with
fifty.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psycopg

from bench import command
from bench.database import database
from bench.report import table
from bench.served import OURS

__all__ = ["main"]

MICROSECOND = 1e-6
AT_ONE, AT_FIFTY = 1.0, 1.3
FIFTY = 50

_UVICORN = ["uvicorn", "bench.aio_site:asgi", "--loop", "uvloop", "--http", "httptools"]
_QUIET = ["--no-access-log", "--log-level", "warning", "--port"]
_GUNICORN = ["-k", OURS, "-c", "python:bench.serving_conf", "--log-level", "warning"]
SERVERS = {
    "gunicorn": ["gunicorn", "bench.aio_site:wsgi", *_GUNICORN],
    "uvicorn": [*_UVICORN, *_QUIET],
    "uvicorn-one-thread": [*_UVICORN, *_QUIET],
}


ASKED = [*((name, "awaited") for name in SERVERS), ("gunicorn", "direct")]


@contextmanager
def serving(name: str, url: str) -> Iterator[int]:
    """Run a server and give its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    last = ["--bind", f"127.0.0.1:{port}"]
    command = SERVERS[name] + (last if name == "gunicorn" else [str(port)])
    server = subprocess.Popen(  # noqa: S603 - our own servers
        [sys.executable, "-m", *command],
        env={**os.environ, "DATABASE_URL": url, "AIO_SERVER": name, "CONCURRENCY_NO_OPS": "1"},
        process_group=0,  # Ctrl-C comes to us alone
    )
    try:
        _wait_for(port, server)
        yield port
    finally:
        server.terminate()
        server.wait()


def _wait_for(port: int, server: subprocess.Popen[bytes], limit: float = 30.0) -> None:
    end = time.monotonic() + limit
    while time.monotonic() < end and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"{server.args} does not listen")


def ask(port: int, view: str, clients: int, seconds: float) -> float:
    """Return the answers a second that clients in a process of their own get."""
    command = ["bench.aio_client", str(port), f"/{view}/", str(clients), str(seconds)]
    done = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-m", *command], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(done.stderr[-2000:])
    return float(done.stdout)


Rates = dict[tuple[str, str, int], list[float]]


def measure(url: str, seconds: float, rounds: int) -> Rates:
    """Return the answers a second by server, view and clients, one number for each round."""
    found: Rates = {}
    with ExitStack() as stack:
        ports = {name: stack.enter_context(serving(name, url)) for name in SERVERS}
        for _ in range(rounds):
            for clients in (1, FIFTY):
                for name, view in ASKED:
                    answers = ask(ports[name], view, clients, seconds)
                    found.setdefault((name, view, clients), []).append(answers)
    return found


def seconds_of_a_switch() -> tuple[float, float]:
    """Return what a switch costs without a loop, and while one runs."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.aio_switches"], capture_output=True, text=True, check=True
    )
    without, beside = map(float, done.stdout.split())
    return without, beside


def main(arguments: list[str] | None = None) -> int:
    """Run the measurements and print them."""
    parser = argparse.ArgumentParser(prog="python -m bench.asynchronous", description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="how long clients ask")
    parser.add_argument("--rounds", type=int, default=7, help="measurements of each")
    options = parser.parse_args(arguments)
    without, beside = seconds_of_a_switch()
    rows = [("no loop", f"{without * 1e9:.0f} ns"), ("a loop runs", f"{beside * 1e9:.0f} ns")]
    print(table(("a switch of greenlets", "time"), rows))  # noqa: T201
    with database() as url:
        _prepare(url)
        found = measure(url, options.seconds, options.rounds)
    rows = [
        (name, view, str(clients), f"{statistics.median(answers):.0f} /s")
        for (name, view, clients), answers in found.items()
    ]
    print(table(("server", "view", "clients", "answers"), rows))  # noqa: T201
    ratios = [_ratio(found, clients) for clients in (1, FIFTY)]
    print(f"gunicorn to uvicorn: {ratios[0]:.2f} with one client, {ratios[1]:.2f} with fifty")  # noqa: T201
    fast = beside - without <= MICROSECOND and ratios[0] >= AT_ONE and ratios[1] >= AT_FIFTY
    return 0 if fast else 1


def _ratio(found: Rates, clients: int) -> float:
    """Return how many times as fast as the better uvicorn the asynchronous view is.

    The machine's speed changes from minute to minute, so what is compared was measured
    in the same round.
    """
    rivals = [found[name, "awaited", clients] for name in SERVERS if name != "gunicorn"]
    rounds = zip(found["gunicorn", "awaited", clients], *rivals, strict=True)
    return statistics.median(ours / max(others) for ours, *others in rounds)


def _prepare(url: str) -> None:
    """Make the table that is asked."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS django_content_type"
            " (id serial PRIMARY KEY, app_label varchar(100), model varchar(100))"
        )
        connection.execute(
            "INSERT INTO django_content_type (app_label, model) VALUES ('bench', 'lease')"
        )


if __name__ == "__main__":
    command.run(main, command.UVICORN)
