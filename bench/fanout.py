"""What a fan-out costs beside raw gevent: `python -m bench.fanout`.

Runs ``map_each`` of many empty calls and ``gevent.spawn`` with ``joinall`` of
the same, in turn and in one process, and compares the medians. Exits non-zero
when the first costs more than twice the second.
"""

from __future__ import annotations

import concurrency.patch  # isort: skip  # noqa: F401

import argparse
import gc
import statistics
from collections.abc import Callable
from time import perf_counter

import gevent

from bench import command
from bench.report import table
from concurrency import map_each

__all__ = ["compare", "main"]

LIMIT = 2.0


def nothing(item: int) -> int:
    """Return at once what it was given."""
    return item


def raw(calls: int) -> None:
    """Run the empty calls with nothing but gevent."""
    gevent.joinall([gevent.spawn(nothing, item) for item in range(calls)], raise_error=True)


def ours(calls: int) -> None:
    """Run the empty calls with ``map_each``, all at the same time."""
    map_each(nothing, range(calls), limit=calls)


def compare(calls: int, rounds: int) -> tuple[float, float]:
    """Return the medians of raw gevent and of ``map_each``, in seconds a round.

    They take turns, so that whatever else the machine does meets both.
    """
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for run, found in zip((raw, ours), times, strict=True):
            found.append(_time(run, calls))
    return statistics.median(times[0]), statistics.median(times[1])


def main(arguments: list[str] | None = None) -> int:
    """Run the comparison and print it; 1 when the fan-out costs too much."""
    parser = argparse.ArgumentParser(prog="python -m bench.fanout", description=__doc__)
    parser.add_argument("--calls", type=int, default=1000, help="empty calls in a round")
    parser.add_argument("--rounds", type=int, default=101, help="rounds of each")
    options = parser.parse_args(arguments)
    compare(options.calls, 5)  # warms up imports, caches and the allocator
    baseline, fan_out = compare(options.calls, options.rounds)
    rows = [
        ("gevent.spawn + joinall", _microseconds(baseline / options.calls), "1.00"),
        ("map_each", _microseconds(fan_out / options.calls), f"{fan_out / baseline:.2f}"),
    ]
    print(f"{options.calls} empty calls, median of {options.rounds} rounds")  # noqa: T201
    print(table(("way", "a call", "ratio"), rows))  # noqa: T201
    return 0 if fan_out <= LIMIT * baseline else 1


def _time(run: Callable[[int], None], calls: int) -> float:
    gc.collect()
    start = perf_counter()
    run(calls)
    return perf_counter() - start


def _microseconds(value: float) -> str:
    return f"{value * 1e6:.2f} us"


if __name__ == "__main__":
    command.run(main)
