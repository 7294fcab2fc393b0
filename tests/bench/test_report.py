"""The report: numbers in, a table out."""

from __future__ import annotations

import dataclasses

import pytest

from bench.report import Measurement, render, table
from bench.scenario import Scenario

GOOD = Measurement(
    requests=9700,
    failures=0,
    rate=485.0,
    ideal=500.0,
    pool=100,
    connections=100,
    median_ms=204,
    p99_ms=230,
    server_cores=0.81,
    client_cores=0.4,
    machine_cores=1.5,
    cores=2,
)


def test_a_report_says_how_much_of_the_ideal_was_reached() -> None:
    """Throughput, ideal, their ratio, connections and errors each have a line."""
    lines = [line.split("  ") for line in render(GOOD).splitlines()]
    values = {line[0].strip(): line[-1].strip() for line in lines}
    assert values["throughput"] == "485.0/s"
    assert values["ideal"] == "500.0/s"
    assert values["share of the ideal"] == "97.0%"
    assert values["connections at most"] == "100 of 100"
    assert values["errors"] == "0"
    assert "note:" not in render(GOOD)


@pytest.mark.parametrize(
    ("change", "remark"),
    [
        ({"failures": 3}, "3 of 9700 answers were errors"),
        ({"connections": 101}, "the pool of 100 had 101 connections"),
        ({"client_cores": 0.93}, "Locust used 93% of a core and may be the limit"),
        ({"machine_cores": 1.95}, "the machine used 1.95 of its 2 cores"),
    ],
)
def test_a_report_warns_of_what_spoils_it(change: dict[str, float], remark: str) -> None:
    """Errors, too many connections and clients that are the limit are said."""
    assert f"note: {remark}" in render(dataclasses.replace(GOOD, **change))


def test_a_table_aligns_its_columns() -> None:
    """The first column is aligned to the left, the others to the right, all as wide as needed."""
    text = table(("what", "n"), [("a", "1"), ("longer", "100")])
    assert text.splitlines() == ["what      n", "------  ---", "a         1", "longer  100"]


def test_a_table_of_uneven_rows_is_refused() -> None:
    """A row with too few cells is an error and not a shifted table."""
    with pytest.raises((ValueError, IndexError)):
        table(("what", "n"), [("a",)])


@pytest.mark.parametrize(
    ("scenario", "ideal"),
    [
        (Scenario(), 500.0),
        (Scenario(clients=50), 250.0),
        (Scenario(pool=20, clients=300, seconds=0.5), 40.0),
        (Scenario(user="TenSlowRequests", clients=100), 50.0),
        (Scenario(user="TenSlowRequests", clients=5), 25.0),
    ],
)
def test_the_ideal_is_what_pool_and_clients_allow(scenario: Scenario, ideal: float) -> None:
    """Neither more than the pool can run at once nor more than the clients ask for counts."""
    assert scenario.ideal == ideal
