"""Where everything in the picture of a timeline goes.

Turns a ``Timeline`` into numbers and texts that a template only has to place.
Widths are per cent of the picture, so that it fits a phone and a wide screen
while its text keeps its size; heights are pixels. Numbers are formatted here and
not in the template: those that are read have the comma of the active language, those
that place something have a point in every language.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from django.utils.formats import number_format
from django.utils.translation import gettext

from example_site.timeline.chart import Bar, Timeline

__all__ = ["Drawing", "draw", "number", "seconds"]

AXIS_HEIGHT = 26
ROW_HEIGHT = 34
_TICKS_AT_MOST = 6
# What leaves no room for a result beside it on a phone.
_LONG_LABEL = 16
# Text centred on a tick this close to the right edge would be cut off.
_EDGE = 94.0


@dataclass(frozen=True, slots=True)
class Tick:
    """A vertical line with the time it stands for."""

    x: str
    anchor: str
    text: str


@dataclass(frozen=True, slots=True)
class Row:
    """One bar with its texts; ``y`` values are pixels from the top."""

    label: str
    result: str
    failed: bool
    start: str
    end: str
    took: str
    x: str
    width: str
    text_y: int
    bar_y: int


@dataclass(frozen=True, slots=True)
class Piece:
    """One bar's part of the strip in which all stand one after the other."""

    x: str
    width: str
    failed: bool


@dataclass(frozen=True, slots=True)
class Drawing:
    """Everything that the template of a timeline shows."""

    title: str
    description: str
    height: int
    rows: tuple[Row, ...]
    ticks: tuple[Tick, ...]
    pieces: tuple[Piece, ...]
    together: str
    total: str
    one_after_the_other: str
    speedup: str
    has_results: bool
    has_long_labels: bool
    hidden: int


def draw(timeline: Timeline) -> Drawing:
    """Return the picture of ``timeline``: places in per cent and pixels, times as text."""
    total, in_sequence = timeline.total, timeline.one_after_the_other
    longest = max(total, in_sequence)
    shown = timeline.bars[: timeline.shown]
    return Drawing(
        title=timeline.title,
        description=_describe(timeline),
        height=AXIS_HEIGHT + ROW_HEIGHT * len(shown),
        rows=tuple(_row(bar, index, total) for index, bar in enumerate(shown)),
        ticks=_ticks(total),
        pieces=_pieces(timeline.bars, longest),
        together=_percent(total, longest),
        total=seconds(total),
        one_after_the_other=seconds(in_sequence),
        speedup=number(timeline.speedup, 1 if timeline.speedup < 9.95 else 0),
        has_results=any(bar.result for bar in shown),
        has_long_labels=any(len(bar.label) > _LONG_LABEL for bar in shown),
        hidden=len(timeline.bars) - len(shown),
    )


def seconds(value: float) -> str:
    """Return ``value``, in seconds, as text of three digits or so: ``5.02 s``, ``13 ms``."""
    if value < 0.9995:
        return f"{number(value * 1000, 0)} ms"
    return f"{number(value, 2)} s"


def number(value: float, decimals: int) -> str:
    """Return a number as the active language writes it: ``5.02``, or ``5,02`` in German."""
    # As text: of a float Django cuts off what is to be rounded.
    return number_format(f"{value:.{decimals}f}")


def _describe(timeline: Timeline) -> str:
    if not timeline.bars:
        return gettext("Nothing ran.")
    sentence = gettext(
        "All was done after %(total)s; one after the other it would have taken %(sum)s. "
        "The table has the numbers."
    )
    total, in_sequence = seconds(timeline.total), seconds(timeline.one_after_the_other)
    return sentence % {"total": total, "sum": in_sequence}


def _row(bar: Bar, index: int, total: float) -> Row:
    top = AXIS_HEIGHT + ROW_HEIGHT * index
    return Row(
        label=bar.label,
        result=bar.result,
        failed=bar.failed,
        start=_precise(bar.start),
        end=_precise(bar.end),
        took=_precise(bar.duration),
        x=_percent(bar.start, total),
        width=_percent(bar.duration, total),
        text_y=top + 13,
        bar_y=top + 19,
    )


def _pieces(bars: tuple[Bar, ...], longest: float) -> tuple[Piece, ...]:
    pieces, before = [], 0.0
    for bar in bars:
        pieces.append(Piece(_percent(before, longest), _percent(bar.duration, longest), bar.failed))
        before += bar.duration
    return tuple(pieces)


def _ticks(total: float) -> tuple[Tick, ...]:
    if total <= 0:
        return (Tick("0%", "start", "0 s"),)
    step = _step(total)
    # Nothing but a rounding error may keep the last tick off the axis.
    count = math.floor(total / step + 1e-9)
    return tuple(_tick(index * step, step, total) for index in range(count + 1))


def _tick(value: float, step: float, total: float) -> Tick:
    place = 100 * value / total
    if value == 0:
        return Tick("0.000%", "start", "0 s")
    anchor = "end" if place > _EDGE else "middle"
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return Tick(_percent(value, total), anchor, f"{number(value, decimals)} s")


def _step(total: float) -> float:
    """Return the smallest of 1, 2, 5, 10, ... (or 0.1, 0.2, ...) that gives few enough ticks."""
    power = 10.0 ** math.floor(math.log10(total / _TICKS_AT_MOST))
    for factor in (1, 2, 5):
        if total / (factor * power) <= _TICKS_AT_MOST:
            return factor * power
    return 10 * power


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole if whole else 0:.3f}%"


def _precise(value: float) -> str:
    return number(value, 3)
