"""The results as tables, for a terminal and for the docs. Pure: figures in, text out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from bench.peers.catalogue import PEERS
from bench.peers.record import Record
from bench.peers.results import Limit, Sample, figures
from bench.peers.works import IDLE, WORKS
from bench.report import CLIENT_LIMIT, table

__all__ = ["HEADER", "markdown", "of_limits", "of_work", "overview", "remarks", "works_of"]

HEADER = ("", "per second", "p50", "p99", "errors", "CPU per 1,000", "memory", "connections")

Render = Callable[[Sequence[str], Sequence[Sequence[str]]], str]


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table as Markdown has it; all but the first column are right-aligned."""
    rule = ["---", *("---:" for _ in header[1:])]
    return "\n".join(f"| {' | '.join(line)} |" for line in (header, rule, *rows))


def works_of(found: Sequence[Sample]) -> list[str]:
    """Return the names of the works that were measured, in the order of all works."""
    found = {one.work for one in found}
    return [name for name in WORKS if name in found]


def of_work(found: Sequence[Sample], work: str, render: Render = table) -> str:
    """Return the table of one work, with one line for each peer."""
    some = [one for one in found if one.work == work]
    if work == IDLE:
        header = ("", "memory without them", "each client")
        rows = [
            (_title(one), _text(one.memory_mb, "{:.0f} MB"), _text(one.idle_kb, "{:.1f} kB"))
            for one in some
        ]
    else:
        header = HEADER
        rows = [_row(one) for one in some]
    return render(header, rows)


def overview(found: Sequence[Sample], render: Render = table) -> str:
    """Return one table of the rates of all peers with all works."""
    works = [name for name in works_of(found) if name != IDLE]
    figures_of = {(one.peer, one.work): one for one in found}
    peers = [name for name in PEERS if any(one.peer == name for one in found)]
    rows = [
        (PEERS[peer].title, *(_rate(figures_of.get((peer, work))) for work in works))
        for peer in peers
    ]
    return render(("responses per second", *(WORKS[work].title for work in works)), rows)


def of_limits(limits: Sequence[Limit], render: Render = table) -> str:
    """Return the table of the limits of ours."""
    rows = [(one.what, one.value, one.limit, "yes" if one.kept else "NO") for one in limits]
    return render(("ours", "measured", "limit", "kept"), rows)


def _row(one: Sample) -> tuple[str, ...]:
    return (
        _title(one),
        _rate(one),
        _text(one.p50_ms, "{:.1f} ms"),
        _text(one.p99_ms, "{:.1f} ms"),
        _text(one.errors, "{}"),
        _text(one.cpu_ms, "{:.2f} s"),
        _text(one.memory_mb, "{:.0f} MB"),
        _text(one.connections, "{}"),
    )


def _title(one: Sample) -> str:
    return PEERS[one.peer].title


def _rate(one: Sample | None) -> str:
    if one is None:
        return ""
    # With waits, the edges of a short time count for more than the difference.
    value = one.steady if WORKS[one.work].ideal else one.rate
    return "failed" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _text(value: float | None, form: str) -> str:
    return "" if value is None else form.format(value)


def remarks(record: Record) -> list[str]:
    """Return what a reader has to know before trusting the figures."""
    found = figures(record.samples)
    notes = [
        f"{PEERS[peer].title} was not measured. Install it: {remedy}"
        for peer, remedy in record.missing.items()
    ]
    notes += [
        f"{_title(one)} failed with {WORKS[one.work].title}: {one.problem.splitlines()[0]}"
        for one in found
        if one.problem
    ]
    notes += [
        f"{one.errors:,} responses of {_title(one)} with {WORKS[one.work].title} were errors, by "
        f"status: {_counts(one.statuses)}"
        for one in found
        if one.errors
    ]
    notes += [
        f"the clients of {_title(one)} with {WORKS[one.work].title} used {one.client_cores:.0%} of "
        "a core, and may have been the limit"
        for one in found
        if (one.client_cores or 0.0) > CLIENT_LIMIT
    ]
    if not record.database_pinned:
        notes.append("the database of DATABASE_URL ran on any core, also on the server's")
    machine = record.surroundings["machine"]
    if machine["load_before"] > machine["cores"] / 2 or record.load_after > 2 * machine["cores"]:
        notes.append(
            f"the machine had other work, so the rates and times are not those that it can have: "
            f"its load average was {machine['load_before']:.1f} before and "
            f"{record.load_after:.1f} after"
        )
    return [f"Note: {note}." for note in notes]


def _counts(statuses: Mapping[str, int]) -> str:
    names = {"0": "closed without a response"}
    return ", ".join(
        f"{names.get(status, status)} {number:,}"
        for status, number in sorted(statuses.items())
        if status != "200"
    )
