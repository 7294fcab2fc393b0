"""Load on the example, beside the ideal: `python -m bench`."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench import command
from bench.report import render
from bench.runner import run
from bench.scenario import Scenario
from bench.server import ROOT

DEFAULTS = Scenario()


def main(arguments: list[str] | None = None) -> int:
    """Measure and print the report; 1 when answers were wrong or the share was too small."""
    options = _parser().parse_args(arguments)
    scenario = Scenario(
        pool=options.pool,
        seconds=options.seconds,
        clients=options.clients,
        duration=options.duration,
        warm_up=options.warm_up,
        ramp=options.ramp,
        user=options.user,
    )
    measurement = run(scenario, options.results, lambda line: print(line, flush=True))  # noqa: T201
    print(f"\n{render(measurement)}")  # noqa: T201
    too_slow = measurement.share < options.at_least
    if too_slow:
        print(f"below the {options.at_least:.0%} of the ideal that were asked for")  # noqa: T201
    wrong = measurement.failures or measurement.connections > measurement.pool
    return 1 if wrong or too_slow else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--pool", type=int, default=DEFAULTS.pool, help="connections of the pool")
    add("--seconds", type=float, default=DEFAULTS.seconds, help="time of each statement")
    add("--clients", type=int, default=DEFAULTS.clients, help="clients at the same time")
    add("--duration", type=int, default=DEFAULTS.duration, help="seconds that are measured")
    add("--warm-up", type=int, default=DEFAULTS.warm_up, help="seconds of load before that")
    add("--ramp", type=int, default=DEFAULTS.ramp, help="seconds over which the clients start")
    add("--user", choices=("SlowSQL", "TenSlowRequests"), default=DEFAULTS.user, help="clients")
    add("--results", type=Path, default=ROOT / "bench" / "results", help="where they are kept")
    add("--at-least", type=float, default=0.0, help="share of the ideal, else exit code 1")
    return parser


if __name__ == "__main__":
    command.run(main, command.LOCUST)
