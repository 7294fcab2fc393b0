"""The timeline: what it is made of, where things go, and what the page shows."""

from __future__ import annotations

import re

import pytest
from django.template import engines
from django.utils.translation import override

from example_site.timeline import Bar, Stopwatch, Timeline
from example_site.timeline.drawing import draw, seconds


def html(timeline: Timeline) -> str:
    """Return what the template tag makes of a timeline."""
    template = engines["django"].from_string("{% load timeline %}{% timeline chart %}")
    return template.render({"chart": timeline})


def test_total_and_sum_come_from_the_bars() -> None:
    """Two bars side by side take the time of the longer, and the sum one after the other."""
    timeline = Timeline("two", (Bar("a", 0.0, 2.0), Bar("b", 1.0, 4.0)), 5.0)
    assert timeline.total == 5.0
    assert timeline.one_after_the_other == 5.0
    assert timeline.speedup == 1.0


def test_the_total_is_never_shorter_than_a_bar() -> None:
    """A total that is too short is the end of the last bar."""
    assert Timeline("short", (Bar("a", 0.0, 2.0),), 1.0).total == 2.0


@pytest.mark.parametrize(("start", "end"), [(2.0, 1.0), (-0.1, 1.0), (float("nan"), 1.0)])
def test_an_impossible_bar_is_refused(start: float, end: float) -> None:
    """A bar that ends before it starts, or starts before the timeline, is an error."""
    with pytest.raises(ValueError, match="bar 'a' goes from"):
        Bar("a", start, end)


def test_a_stopwatch_only_goes_forward() -> None:
    """Times of one stopwatch make bars that are possible."""
    stopwatch = Stopwatch()
    first = stopwatch.now()
    assert Bar("a", first, stopwatch.now()).duration >= 0


def test_bars_are_placed_in_per_cent_of_the_total() -> None:
    """A bar over the second half starts in the middle and takes half of the width."""
    drawing = draw(Timeline("half", (Bar("a", 0.0, 4.0), Bar("b", 2.0, 4.0)), 4.0))
    assert [(row.x, row.width) for row in drawing.rows] == [
        ("0.000%", "100.000%"),
        ("50.000%", "50.000%"),
    ]
    assert [piece.x for piece in drawing.pieces] == ["0.000%", "66.667%"]
    assert drawing.together == "66.667%"


def test_an_empty_timeline_is_drawn() -> None:
    """Nothing that ran is an axis without bars, and no table."""
    drawing = draw(Timeline("nothing", ()))
    assert (drawing.rows, drawing.pieces) == ((), ())
    assert drawing.speedup == "1.0"
    page = html(Timeline("nothing", ()))
    assert "Nothing ran." in page
    assert "<table" not in page


def test_one_bar_is_as_fast_as_one_after_the_other() -> None:
    """A single bar fills the picture, and is in no way faster."""
    drawing = draw(Timeline("one", (Bar("a", 0.0, 3.0),)))
    assert drawing.rows[0].width == drawing.together == "100.000%"
    assert drawing.speedup == "1.0"


@pytest.mark.parametrize("at", [0.0, 1.0])
def test_a_bar_of_no_duration_is_drawn(at: float) -> None:
    """What took no time has a place, a width of zero, and a mark that can be seen."""
    timeline = Timeline("zero", (Bar("a", at, at),), at)
    (row,) = draw(timeline).rows
    assert row.width == "0.000%"
    assert 'class="timeline-start' in html(timeline)


@pytest.mark.parametrize("total", [1e-6, 0.003, 0.0421, 0.9, 1.0, 3.0, 5.02, 6.0, 59.0, 86400.0])
def test_an_axis_has_a_few_round_ticks(total: float) -> None:
    """Whatever the total, there are two to seven ticks, all on the axis and all different."""
    drawing = draw(Timeline("axis", (Bar("a", 0.0, total),)))
    places = [float(tick.x.rstrip("%")) for tick in drawing.ticks]
    assert 2 <= len(places) <= 7
    assert places == sorted(places)
    assert places[-1] <= 100.001
    assert len({tick.text for tick in drawing.ticks}) == len(places)
    assert drawing.ticks[0].anchor == "start"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0 ms"), (0.0123, "12 ms"), (0.9994, "999 ms"), (0.9996, "1.00 s"), (50.039, "50.04 s")],
)
def test_times_have_three_digits_or_so(value: float, text: str) -> None:
    """A time below a second is told in milliseconds."""
    assert seconds(value) == text


def test_texts_are_escaped() -> None:
    """Labels, results and titles are text, whatever characters they have."""
    nasty = "<script>alert('&')</script>"
    page = html(Timeline(nasty, (Bar(nasty, 0.0, 1.0, result=nasty),)))
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 4


@pytest.mark.parametrize(
    ("language", "total", "summed", "faster", "cells"),
    [
        ("en", "2.50 s", "25.00 s", "Faster by</dt><dd>10{times}", ["0.250", "2.500", "2.250"]),
        ("de", "2,50 s", "25,00 s", "Schneller um</dt><dd>10{times}", ["0,250", "2,500", "2,250"]),
        ("fr", "2,50 s", "25,00 s", "Accélération</dt><dd>10{times}", ["0,250", "2,500", "2,250"]),
        ("es", "2,50 s", "25,00 s", "Aceleración</dt><dd>10{times}", ["0,250", "2,500", "2,250"]),
    ],
)
def test_numbers_that_are_read_are_written_as_the_language_does(
    language: str, total: str, summed: str, faster: str, cells: list[str]
) -> None:
    """Sums, ticks and table have the language's comma; what places something has a point."""
    bars = (*(Bar("a", 0.0, 2.5),) * 9, Bar("b", 0.25, 2.5), Bar("c", 0.0, 0.25))
    with override(language):
        page = html(Timeline("language", bars, 2.5))
    assert f"<dd>{total}</dd>" in page
    assert f"<dd>{summed}</dd>" in page
    assert faster.format(times="\N{MULTIPLICATION SIGN}") in page
    assert re.findall(r"<td>(.*?)</td>", page)[27:30] == cells
    assert f">{'0.5' if language == 'en' else '0,5'} s</text>" in page, "a tick"
    places = re.findall(r' (?:x|x1|x2|width)="([^"]*)"', page)
    assert "10.000%" in places
    assert not [place for place in places if "," in place]


@pytest.mark.parametrize(("last", "text"), [(0.94, "9.9"), (0.96, "10"), (1.0, "10")])
def test_how_many_times_faster(last: float, text: str) -> None:
    """From ten on a decimal says nothing any more."""
    bars = (*(Bar("a", 0.0, 1.0),) * 9, Bar("b", 0.0, last))
    assert draw(Timeline("faster", bars)).speedup == text


def test_a_failed_bar_is_marked() -> None:
    """A bar that ended in an error has another class, in the picture and in the table."""
    page = html(Timeline("failed", (Bar("a", 0.0, 1.0, failed=True), Bar("b", 0.0, 1.0))))
    assert len(re.findall(r'class="timeline-bar timeline-failed"', page)) == 1
    assert page.count('<tr class="timeline-failed"') == 1


def test_the_picture_has_a_name_and_a_table() -> None:
    """Who cannot see the picture gets its title, its description, and every number."""
    page = html(Timeline("Ten things", (Bar("x = 1", 0.5, 1.75, result="one"),)))
    assert 'role="img"' in page
    ids = re.search(r'aria-labelledby="([\w-]+) ([\w-]+)"', page)
    assert ids is not None
    assert all(f'id="{name}"' in page for name in ids.groups())
    assert ">Ten things</title>" in page
    cells = re.findall(r"<td[^>]*>(.*?)</td>", page)
    assert cells == ["one", "0.500", "1.750", "1.250"]
