"""Figures and limits: samples in, medians and verdicts out."""

from __future__ import annotations

import pytest

from bench.peers.catalogue import GRANIAN
from bench.peers.results import Sample, figures, limits

GOOD = [
    Sample(peer="ours", work="nothing", round=0, rate=3000.0, p50_ms=10.0, p99_ms=15.0, errors=0),
    Sample(peer="ours", work="nothing", round=1, rate=5000.0, p50_ms=10.0, p99_ms=25.0, errors=2),
    Sample(peer="ours", work="nothing", round=2, rate=4000.0, p50_ms=12.0, p99_ms=18.0, errors=1),
]


def ours(work: str, number: int = 0, **values: float) -> Sample:
    """Return a sample of ours."""
    return Sample(peer="ours", work=work, round=number, **values)  # type: ignore[arg-type]


def kept(samples: list[Sample], part: str) -> bool:
    """Return whether the one limit is kept whose text has a part."""
    (found,) = [limit for limit in limits(samples) if part in limit.what]
    return found.kept


def test_figures_are_medians_over_the_rounds() -> None:
    """Errors are added up, connections are the most, and everything else is the median."""
    samples = [
        Sample(peer="plain", work="one", round=n, rate=rate, connections=most, errors=1)
        for n, (rate, most) in enumerate([(10.0, 7), (30.0, 9), (20.0, 8)])
    ]
    (one,) = figures(samples)
    assert (one.rate, one.connections, one.errors, one.round) == (20.0, 9, 3, None)
    assert one.cpu_ms is None


def test_figures_have_the_order_of_the_catalogue() -> None:
    """Tables look the same whatever was measured first."""
    samples = [
        Sample(peer="fastapi", work="one"),
        Sample(peer="ours", work="one"),
        Sample(peer="gthread", work="nothing"),
    ]
    found = [(one.work, one.peer) for one in figures(samples)]
    assert found == [("nothing", "gthread"), ("one", "ours"), ("one", "fastapi")]


def test_a_round_that_failed_does_not_hide_the_others() -> None:
    """The figures are those of the rounds that have some, and the problem is kept."""
    samples = [
        Sample(peer="plain", work="one", round=0, problem="no answer"),
        Sample(peer="plain", work="one", round=1, rate=5.0),
    ]
    (one,) = figures(samples)
    assert (one.rate, one.problem) == (5.0, "no answer")


def test_a_limit_needs_both_sides() -> None:
    """Ours alone is compared with nobody."""
    assert [limit.what for limit in limits(GOOD)] == ["no I/O: p99 to p50"]
    assert limits([Sample(peer="plain", work="nothing", round=0, rate=1.0)]) == []


def test_ratios_are_those_of_the_same_round() -> None:
    """A machine that is slow for a round is slow for both, and the median ratio counts."""
    slow = [
        Sample(peer="plain", work="nothing", round=n, rate=rate)
        for n, rate in enumerate([1500.0, 2500.0, 4000.0])
    ]
    (ratio,) = [limit.value for limit in limits(GOOD + slow) if "bare gevent" in limit.what]
    assert ratio == "2.00"


@pytest.mark.parametrize(("rate", "is_kept"), [(8000.0, True), (8001.0, False)])
def test_the_best_granian_counts(rate: float, is_kept: bool) -> None:
    """Of the numbers of threads the fastest is compared."""
    rivals = [Sample(peer=name, work="nothing", round=2, rate=100.0) for name in GRANIAN]
    rivals.append(Sample(peer=GRANIAN[1], work="nothing", round=2, rate=rate))
    assert kept(GOOD + rivals, "granian") is is_kept
    assert "at least 0.5 (aim: 0.65)" in {limit.limit for limit in limits(GOOD + rivals)}


@pytest.mark.parametrize(
    ("values", "part", "is_kept"),
    [
        ({"steady": 490.0}, "share", True),
        ({"steady": 489.0}, "share", False),
        ({"connections": 101}, "most connections", True),
        ({"connections": 102}, "most connections", False),
    ],
)
def test_the_limits_of_waiting(values: dict[str, float], part: str, is_kept: bool) -> None:
    """98 % of 500 a second, on no more than 100 connections and the probe's one."""
    assert kept([ours("slow-100", **values)], part) is is_kept


@pytest.mark.parametrize(("cpu", "is_kept"), [(0.9, True), (1.0, False)])
def test_waiting_is_cheapest_on_ours(cpu: float, is_kept: bool) -> None:
    """Each other setup on gevent has to use more CPU; threads are not compared."""
    rivals = [
        Sample(peer="plain", work="slow-300", round=0, cpu_ms=1.0),
        Sample(peer="geventpool", work="slow-300", round=0, cpu_ms=2.0),
        Sample(peer="gthread", work="slow-300", round=0, cpu_ms=0.1),
    ]
    assert kept([ours("slow-300", cpu_ms=cpu), *rivals], "CPU") is is_kept


@pytest.mark.parametrize(("kb", "is_kept"), [(15.0, True), (15.1, False)])
def test_the_limit_of_idle_clients(kb: float, is_kept: bool) -> None:
    """An idle client may cost 15 kB."""
    assert kept([ours("idle", idle_kb=kb)], "idle") is is_kept


def test_no_answer_within_the_time_is_no_ratio() -> None:
    """A rival with a rate of nothing is no division by zero."""
    rival = Sample(peer="plain", work="nothing", round=0, rate=0.0)
    assert not kept([*GOOD, rival], "bare gevent")
