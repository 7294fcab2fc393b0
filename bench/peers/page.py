"""Puts the results into the docs: the part of a page between two markers, and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.peers import tables
from bench.peers.plot import svg
from bench.peers.record import Record
from bench.peers.results import figures, limits
from bench.peers.works import WORKS
from bench.server import ROOT

__all__ = ["BEGIN", "END", "PAGE", "PICTURE", "replace", "text", "write"]

PAGE = ROOT / "docs" / "which-worker.md"
PICTURE = ROOT / "docs" / "images" / "peers.svg"
BEGIN = "<!-- begin: written by `python -m bench.peers --docs` -->"
END = "<!-- end -->"


def text(record: Record) -> str:
    """Return what stands between the markers."""
    found = figures(record.samples)
    parts = [
        _where(record),
        *tables.remarks(record),
        "![Responses per second of each peer, by work](images/peers.svg)",
        tables.overview(found, tables.markdown),
        "The limits that this package sets itself:",
        tables.of_limits(limits(record.samples), tables.markdown),
    ]
    for work in tables.works_of(found):
        parts += [
            f"### {_capital(WORKS[work].title)}",
            tables.of_work(found, work, tables.markdown),
        ]
    return "\n\n".join(parts)


def _where(record: Record) -> str:
    versions, machine = record.surroundings["versions"], record.surroundings["machine"]
    names = ", ".join(f"{name} {number}" for name, number in versions.items() if number)
    clients = max((sample.client_cores or 0.0 for sample in record.samples), default=0.0)
    commit = (record.surroundings["commit"] or "unknown")[:12]
    rounds = "1 round" if record.rounds == 1 else f"medians of {record.rounds} rounds"
    return (
        f"`{record.command}`, {record.measured}, commit {commit}: {rounds} of "
        f"{record.seconds:g} s. {machine['processor']}, {machine['cores']} cores. The clients used "
        f"at most {clients:.0%} of a core. Load average {machine['load_before']:.1f} before "
        f"and {record.load_after:.1f} after. {machine['system']}; {names}."
    )


def _capital(title: str) -> str:
    return title[0].upper() + title[1:]


def replace(page: str, inner: str) -> str:
    """Return a page with something else between its markers.

    Raises:
        ValueError: a marker is missing.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the page lacks `{BEGIN}` or `{END}`")
    return f"{before}{BEGIN}\n\n{inner}\n\n{END}{after}"


def write(record: Record, page: Path = PAGE, picture: Path = PICTURE) -> Sequence[Path]:
    """Write page and picture, and return where they are."""
    page.write_text(replace(page.read_text(encoding="utf-8"), text(record)), encoding="utf-8")
    picture.write_text(svg(figures(record.samples)), encoding="utf-8")
    return page, picture
