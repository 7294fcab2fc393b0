"""What taking and giving back a lease costs: `python -m bench.lease`.

Two comparisons, each in one run and in turn:

* one client, a short query of the ORM, on PostgreSQL and on MariaDB: with a connection
  that is kept, and with a lease for each query;
* fifty clients on a pool of ten: this package, Django's own pool, and
  django-db-geventpool, all in a patched process. The others know PostgreSQL alone.

Exits non-zero when a lease costs more than 5 % of a query, or a rival is faster.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys

from bench import command
from bench.database import database
from bench.mariadb import MariaDB
from bench.report import table

__all__ = ["main"]

LIMIT = 0.05

_NAMES = {
    "ours": "concurrency",
    "django": "Django's own pool",
    "geventpool": "django-db-geventpool",
}


def ask(url: str, peer: str, what: str, amount: float = 0) -> list[float]:
    """Have a process of its own measure or prepare something, and return its numbers."""
    done = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-m", "bench.lease_peer", peer, what, str(amount)],
        env={**os.environ, "DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{_NAMES[peer]}: {done.stderr[-2000:]}")
    return [float(number) for number in done.stdout.split()]


def cost_of_lease(name: str, url: str, queries: int, rounds: int) -> float:
    """Print and return what share of a query a lease costs on one database."""
    found = [ask(url, "ours", "one", queries) for _ in range(rounds)]
    kept, leased = (statistics.median(numbers) for numbers in zip(*found, strict=True))
    share = statistics.median(one / other - 1 for other, one in found)
    rows = [
        ("connection kept", f"{kept * 1e6:.1f} us", ""),
        ("a lease for each query", f"{leased * 1e6:.1f} us", f"{share:+.1%}"),
    ]
    print(table((f"one client, {name}", "a query", "lease"), rows))  # noqa: T201
    return share


def throughput(url: str, seconds: float, rounds: int) -> dict[str, float]:
    """Print and return the queries a second of each peer; they take turns."""
    found: dict[str, list[float]] = {peer: [] for peer in _NAMES}
    for _ in range(rounds):
        for peer, numbers in found.items():
            numbers += ask(url, peer, "many", seconds)
    many = {peer: statistics.median(numbers) for peer, numbers in found.items()}
    rows = [
        (_NAMES[peer], f"{value:.0f} /s", f"{value / many['ours']:.2f}")
        for peer, value in many.items()
    ]
    print(table(("fifty clients, ten connections", "queries", "ratio"), rows))  # noqa: T201
    return many


def main(arguments: list[str] | None = None) -> int:
    """Run both comparisons."""
    parser = argparse.ArgumentParser(prog="python -m bench.lease", description=__doc__)
    parser.add_argument("--queries", type=int, default=4000, help="queries of the one client")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long the fifty ask")
    parser.add_argument("--rounds", type=int, default=7, help="measurements of each")
    options = parser.parse_args(arguments)
    with database() as url:
        ask(url, "ours", "prepare")
        costs = [cost_of_lease("PostgreSQL", url, options.queries, options.rounds)]
        many = throughput(url, options.seconds, options.rounds)
    with MariaDB() as server:
        ask(server.url, "ours", "prepare")
        costs.append(cost_of_lease("MariaDB", server.url, options.queries, options.rounds))
    return 0 if max(costs) <= LIMIT and many["ours"] == max(many.values()) else 1


if __name__ == "__main__":
    command.run(main, command.MARIADB, command.RIVALS)
