"""Clients for the example: `locust -f bench/locustfile.py --host http://127.0.0.1:8000`.

Reads DEMO_USER, DEMO_PASSWORD and BENCH_SECONDS (how long each statement
sleeps, default 0.2) from the environment. Name a class on the command line to
run only that one. Does not depend on how the server was started.
"""

from __future__ import annotations

import concurrency.patch  # isort: skip  # noqa: F401

import base64
import itertools
import os
from argparse import ArgumentParser

import locust.stats
from locust import FastHttpUser, constant, events, task

SECONDS = os.environ.get("BENCH_SECONDS", "0.2")
# Once a second, so that whoever reads the CSV files while it runs sees progress.
locust.stats.CSV_STATS_FLUSH_INTERVAL_SEC = 1


@events.init_command_line_parser.add_listener
def _listen_on_loopback(parser: ArgumentParser, **more: object) -> None:
    """Let nobody else start load from here: Locust's page and its master listen everywhere."""
    parser.set_defaults(web_host="127.0.0.1", master_bind_host="127.0.0.1")


def _authorization() -> str:
    pair = f"{os.environ.get('DEMO_USER', 'user')}:{os.environ.get('DEMO_PASSWORD', 'password')}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


class ExampleUser(FastHttpUser):
    """Asks again as soon as it has its answer, and checks what it got."""

    abstract = True
    wait_time = constant(0)
    default_headers = {"Authorization": _authorization(), "Accept": "text/plain"}  # noqa: RUF012

    def expect(self, path: str, name: str, answer: str) -> None:
        """Get ``path``; anything but ``answer`` counts as a failure."""
        with self.client.get(path, name=name, catch_response=True) as response:
            if response.status_code != 200 or response.text != answer:
                response.failure(f"status {response.status_code}: {(response.text or '')[:100]!r}")


class SlowSQL(ExampleUser):
    """Asks for one slow statement at a time."""

    def on_start(self) -> None:
        """Start each client with its own numbers."""
        self.numbers = itertools.cycle(range(1, 1000))

    @task
    def slow_sql(self) -> None:
        """Ask for the square of the next number."""
        x = next(self.numbers)
        self.expect(f"/slow-sql/?x={x}&seconds={SECONDS}", "/slow-sql/", str(x * x))


class TenSlowRequests(ExampleUser):
    """Asks for ten slow statements at a time, which the server asks itself for."""

    answer = "".join(f"{x * x}\n" for x in range(1, 11))

    @task
    def ten_slow_requests(self) -> None:
        """Ask for the ten squares."""
        path = f"/ten-slow-requests/?seconds={SECONDS}"
        self.expect(path, "/ten-slow-requests/", self.answer)
