"""What the measurements say: figures of each peer, ratios between them, limits of ours. Pure."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from bench.peers.catalogue import GEVENT, GRANIAN, OURS, PEERS
from bench.peers.works import IDLE, WORKS

__all__ = ["OPS_CONNECTIONS", "Limit", "Sample", "figures", "limits"]

#: The process of the ops port has a connection of its own, by which it knows that there is a
#: database. The server cannot tell it from those of the worker's pool.
OPS_CONNECTIONS = 1

FIGURES = ("rate", "steady", "p50_ms", "p99_ms", "cpu_ms", "memory_mb", "client_cores", "idle_kb")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What one measurement has shown, or the median of several; what was not measured is None.

    Args:
        peer: its name.
        work: its name.
        round: its number, from 0; None for the median of all.
        problem: why there are no figures, if there are none.
        rate: good responses per second.
        steady: the same without the edges of the measured time: how many clients ask, by the mean
            time in which one has its response.
        p50_ms: the median of the response times, in milliseconds.
        p99_ms: the 99th percentile, in milliseconds.
        errors: responses other than 200, and connections closed without one.
        statuses: how many responses had each status; "0" is that of connections that were closed.
        cpu_ms: CPU of the server for each good response, in milliseconds: seconds per thousand.
        memory_mb: memory of the server and its children, shared pages divided, in 10^6 bytes.
        connections: the most that the database saw.
        client_cores: CPU of the clients, in cores.
        idle_kb: memory that an idle keep-alive client costs, in 10^3 bytes.
    """

    peer: str
    work: str
    round: int | None = None
    problem: str = ""
    rate: float | None = None
    steady: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    errors: int | None = None
    statuses: dict[str, int] = field(default_factory=dict)
    cpu_ms: float | None = None
    memory_mb: float | None = None
    connections: int | None = None
    client_cores: float | None = None
    idle_kb: float | None = None


@dataclass(frozen=True, slots=True)
class Limit:
    """One thing that ours has to keep: what, the value, the limit, and whether it is kept."""

    what: str
    value: str
    limit: str
    kept: bool


def figures(samples: Iterable[Sample]) -> list[Sample]:
    """Return the median of each peer with each work, in the order of the catalogue.

    Of errors it is the sum of all rounds, of connections the most.
    """
    groups: dict[tuple[str, str], list[Sample]] = {}
    for sample in samples:
        groups.setdefault((sample.peer, sample.work), []).append(sample)
    order = [(peer, work) for work in WORKS for peer in PEERS]
    return [_figures(*key, groups[key]) for key in order if key in groups]


def _figures(peer: str, work: str, samples: Sequence[Sample]) -> Sample:
    values = {name: _all(samples, name) for name in (*FIGURES, "errors", "connections")}
    errors, connections = values.pop("errors"), values.pop("connections")
    return Sample(
        peer=peer,
        work=work,
        problem=next((sample.problem for sample in samples if sample.problem), ""),
        errors=int(sum(errors)) if errors else None,
        statuses=dict(sum((Counter(sample.statuses) for sample in samples), Counter())),
        connections=int(max(connections)) if connections else None,
        **{name: statistics.median(some) if some else None for name, some in values.items()},
    )


def _all(samples: Iterable[Sample], name: str) -> list[float]:
    return [value for sample in samples if (value := getattr(sample, name)) is not None]


def limits(samples: Sequence[Sample]) -> list[Limit]:
    """Return the limits for which both sides were measured."""
    found = [
        _ratio(samples, "nothing", ("plain",), "gunicorn's bare gevent worker", 1.7),
        _fair(samples),
        _ratio(samples, "nothing", GRANIAN, "the best granian", 0.5, aim=0.65),
        _ratio(samples, "one", GRANIAN, "the best granian", 1.0, aim=1.2),
        _ratio(samples, "one", ("django-pool",), "Django's pool under gevent", 1.35),
        _ratio(samples, "three", GRANIAN, "the best granian", 1.0, aim=1.1),
        _ratio(samples, "one-200", GRANIAN, "the best granian", 1.0),
        *(_share(samples, work) for work in ("slow-100", "slow-300")),
        *(_within_pool(samples, work) for work in ("slow-100", "slow-300")),
        *(_cheapest(samples, work) for work in ("slow-100", "slow-300")),
        _idle(samples),
    ]
    return [limit for limit in found if limit is not None]


def _ours(samples: Iterable[Sample], work: str) -> list[Sample]:
    return [sample for sample in samples if (sample.peer, sample.work) == (OURS, work)]


def _by_round(
    samples: Sequence[Sample],
    work: str,
    peers: Sequence[str],
    name: str,
    best: Callable[[list[float]], float],
) -> list[tuple[float, float]]:
    """Return ours beside the best of some peers, for each round in which both were measured.

    The machine's speed changes from minute to minute, so what is compared was measured at about
    the same time.
    """
    found = []
    for one in _ours(samples, work):
        others = [
            value
            for other in samples
            if (other.work, other.round) == (work, one.round) and other.peer in peers
            if (value := getattr(other, name)) is not None
        ]
        value = getattr(one, name)
        if others and value is not None:
            found.append((value, best(others)))
    return found


def _ratio(
    samples: Sequence[Sample],
    work: str,
    peers: Sequence[str],
    whom: str,
    least: float,
    *,
    aim: float | None = None,
) -> Limit | None:
    pairs = _by_round(samples, work, peers, "rate", max)
    if not pairs:
        return None
    ratio = statistics.median(ours / other if other else 0.0 for ours, other in pairs)
    limit = f"at least {least:g}" + (f" (aim: {aim:g})" if aim else "")
    what = f"{WORKS[work].title}: rate to that of {whom}"
    return Limit(what, f"{ratio:.2f}", limit, ratio >= least)


def _fair(samples: Sequence[Sample]) -> Limit | None:
    spreads = [
        one.p99_ms / one.p50_ms for one in _ours(samples, "nothing") if one.p99_ms and one.p50_ms
    ]
    if not spreads:
        return None
    spread = statistics.median(spreads)
    return Limit("no I/O: p99 to p50", f"{spread:.2f}", "at most 2", spread <= 2)


def _share(samples: Sequence[Sample], work: str) -> Limit | None:
    rates = _all(_ours(samples, work), "steady")
    if not rates:
        return None
    share = statistics.median(rates) / WORKS[work].ideal
    return Limit(
        f"{WORKS[work].title}: share of the ideal", f"{share:.1%}", "at least 98 %", share >= 0.98
    )


def _within_pool(samples: Sequence[Sample], work: str) -> Limit | None:
    counts = _all(_ours(samples, work), "connections")
    if not counts:
        return None
    most, pool = int(max(counts)), WORKS[work].pool
    return Limit(
        f"{WORKS[work].title}: most connections",
        str(most),
        f"at most {pool} of the pool and {OPS_CONNECTIONS} of the readiness probe",
        most <= pool + OPS_CONNECTIONS,
    )


def _cheapest(samples: Sequence[Sample], work: str) -> Limit | None:
    pairs = _by_round(samples, work, GEVENT, "cpu_ms", min)
    if not pairs:
        return None
    ratio = statistics.median(ours / other if other else 0.0 for ours, other in pairs)
    what = f"{WORKS[work].title}: CPU to that of the cheapest other gevent setup"
    return Limit(what, f"{ratio:.2f}", "below 1", ratio < 1)


def _idle(samples: Sequence[Sample]) -> Limit | None:
    values = _all(_ours(samples, IDLE), "idle_kb")
    if not values:
        return None
    value = statistics.median(values)
    what = "an idle keep-alive client: memory"
    return Limit(what, f"{value:.2f} kB", "at most 15 kB", value <= 15)
