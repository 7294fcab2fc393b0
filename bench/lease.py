"""What taking and giving back a lease costs: `python -m bench.lease`.

Two comparisons, each with its rivals in one run and in turn:

* one client, a short query of the ORM: with a connection that is kept, and with a
  lease for each query;
* fifty clients on a pool of ten: this package, Django's own pool, and
  django-db-geventpool, all in a patched process.

Exits non-zero when a lease costs more than 5 % of a query, or a rival is faster.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys

import psycopg

from bench.database import database
from bench.report import table

__all__ = ["main"]

LIMIT = 0.05

_NAMES = {
    "kept": "connection kept",
    "ours": "concurrency",
    "django": "Django's own pool",
    "geventpool": "django-db-geventpool",
}


def measure(url: str, peer: str, what: str, amount: float) -> float:
    """Run one measurement in a process of its own and return its number."""
    done = subprocess.run(  # noqa: S603 - our own module
        [sys.executable, "-m", "bench.peers", peer, what, str(amount)],
        env={**os.environ, "DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{_NAMES[peer]}: {done.stderr[-2000:]}")
    return float(done.stdout)


def compare(url: str, peers: list[str], what: str, amount: float, rounds: int) -> dict[str, float]:
    """Return the median of each peer; they take turns, so that noise meets all."""
    found: dict[str, list[float]] = {peer: [] for peer in peers}
    for _ in range(rounds):
        for peer in peers:
            found[peer].append(measure(url, peer, what, amount))
    return {peer: statistics.median(numbers) for peer, numbers in found.items()}


def main(arguments: list[str] | None = None) -> int:
    """Run both comparisons and print them."""
    parser = argparse.ArgumentParser(prog="python -m bench.lease", description=__doc__)
    parser.add_argument("--queries", type=int, default=5000, help="queries of the one client")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long the fifty ask")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each")
    options = parser.parse_args(arguments)
    with database() as url:
        _prepare(url)
        one = compare(url, ["kept", "ours"], "one", options.queries, options.rounds)
        many = compare(
            url, ["ours", "django", "geventpool"], "many", options.seconds, options.rounds
        )
    share = one["ours"] / one["kept"] - 1
    rows = [(_NAMES[peer], f"{value * 1e6:.1f} us", "") for peer, value in one.items()]
    rows[1] = (*rows[1][:2], f"{share:+.1%}")
    print(table(("one client", "a query", "lease"), rows))  # noqa: T201
    rows = [
        (_NAMES[peer], f"{value:.0f} /s", f"{value / many['ours']:.2f}")
        for peer, value in many.items()
    ]
    print(table(("fifty clients, ten connections", "queries", "ratio"), rows))  # noqa: T201
    return 0 if share <= LIMIT and many["ours"] == max(many.values()) else 1


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
    sys.exit(main())
