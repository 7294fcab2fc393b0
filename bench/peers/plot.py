"""The rates as a picture: bars in a panel for each work, as SVG. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from bench.peers.catalogue import OURS, PEERS
from bench.peers.results import OPS_CONNECTIONS, Sample
from bench.peers.works import IDLE, WORKS

__all__ = ["svg"]

_COLUMNS = 2
_PANEL = 540  # width
_TOP = 30  # height of the title
_MARGIN = 12
_NAMES = 226  # width of the names of the peers
_VALUE = 130  # width of what stands behind the bars
_LINE = 17
_HEAD = 34
_TITLE = "Responses per second; dashed: what they would be if nothing but the waits took time"
_COLOURS = {True: "#1a7f5a", False: "#8a94a6"}


def svg(figures: Sequence[Sample]) -> str:
    """Return the picture of all works that have rates."""
    works = [name for name in WORKS if name != IDLE and any(one.work == name for one in figures)]
    lines = max((sum(one.work == name for one in figures) for name in works), default=0)
    height = _HEAD + lines * _LINE + _MARGIN
    whole = _TOP + math.ceil(len(works) / _COLUMNS) * height
    panels = []
    for number, name in enumerate(works):
        x, y = number % _COLUMNS * _PANEL, _TOP + number // _COLUMNS * height
        inner = _panel(name, [one for one in figures if one.work == name])
        panels.append(f'<g transform="translate({x},{y})">{inner}</g>')
    width = _COLUMNS * _PANEL
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {whole}" role="img" '
            f'width="{width}" height="{whole}" font-family="sans-serif" font-size="11">',
            f"<title>{_TITLE}</title>",
            f'<rect width="{width}" height="{whole}" fill="#ffffff"/>',
            f'<text x="{_MARGIN}" y="20" font-size="13">{_TITLE}</text>',
            *panels,
            "</svg>\n",
        ]
    )


def _panel(work: str, figures: Sequence[Sample]) -> str:
    ideal = WORKS[work].ideal
    rates = [(one.steady if ideal else one.rate) or 0.0 for one in figures]
    most = max([*rates, ideal, 1.0])
    room = _PANEL - _NAMES - _VALUE - 2 * _MARGIN
    title = WORKS[work].title
    parts = [f'<text x="{_MARGIN}" y="22" font-weight="bold" font-size="13">{escape(title)}</text>']
    for number, (one, rate) in enumerate(zip(figures, rates, strict=True)):
        y = _HEAD + number * _LINE
        weight = "bold" if one.peer == OURS else "normal"
        left, length = _MARGIN + _NAMES, round(room * rate / most, 1)
        value = _value(one, rate)
        parts += [
            f'<text x="{left - 6}" y="{y + 10}" text-anchor="end" font-weight="{weight}">'
            f"{escape(PEERS[one.peer].title)}</text>",
            f'<rect x="{left}" y="{y}" width="{length}" height="13" '
            f'fill="{_COLOURS[one.peer == OURS]}"/>',
            f'<text x="{left + length + 4}" y="{y + 10}" font-weight="{weight}">{value}</text>',
        ]
    if ideal:
        x = _MARGIN + _NAMES + round(room * ideal / most, 1)
        end = _HEAD + len(figures) * _LINE
        parts.append(
            f'<line x1="{x}" y1="{_HEAD - 3}" x2="{x}" y2="{end}" stroke="#c0392b" '
            f'stroke-dasharray="3 3"><title>ideal: {ideal:g}</title></line>'
        )
    return "\n".join(parts)


def _value(one: Sample, rate: float) -> str:
    if one.rate is None:
        return "failed"
    text = f"{rate:,.0f}"
    if one.errors:
        text += f", {one.errors:,} errors"
    if (one.connections or 0) > WORKS[one.work].pool + OPS_CONNECTIONS:
        text += f", {one.connections} connections"  # more than it may open
    return text
