"""The pages in a headless Chromium, on a phone and on a desk, in light and in dark."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from django.template import engines

from example_site.timeline import Bar, Timeline
from tests.example_site.browsing import PAPER, SIZES, visit
from tests.servers import WebServer

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(60)]

PICTURE = (
    '{% load timeline %}<meta name="viewport" content="width=device-width">'
    '<style>{% include "timeline/timeline.css" %}</style>'
    '<body style="margin: 0 16px; font-family: sans-serif">{% timeline chart %}'
)
PAGES = ("/", "/ten-slow-requests/?seconds=0.1", "/ten-slow-queries/?seconds=0.1")


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", PAPER)
def test_a_page_fits_its_screen(
    browser: Any, site: WebServer, path: str, size: str, scheme: str
) -> None:
    """A page scrolls in one direction, has the colours asked for, and a silent console."""
    visit(browser, site, path, size, scheme)
    root = "document.documentElement"
    assert browser.execute_script(f"return {root}.scrollWidth") <= SIZES[size][0]
    paper = "return getComputedStyle(document.body).backgroundColor"
    assert browser.execute_script(paper) == PAPER[scheme]
    assert browser.get_log("browser") == []


def covered(browser: Any, selector: str) -> list[str]:
    """Return the texts, of those that can be seen, that the one before them runs into."""
    found: list[str] = browser.execute_script(
        "const boxes = [...document.querySelectorAll(arguments[0])].map("
        "  one => [one.textContent, one.getBoundingClientRect()]).filter(([_, box]) => box.width);"
        "return boxes.filter(([_, box], index) => index && box.left < boxes[index - 1][1].right)"
        "  .map(([text, _]) => text);",
        selector,
    )
    return found


@pytest.mark.parametrize("path", PAGES[1:])
@pytest.mark.parametrize("size", SIZES)
def test_the_timeline_can_be_read(browser: Any, site: WebServer, path: str, size: str) -> None:
    """Ten bars lie within the picture, and its texts are large enough and not cut off."""
    visit(browser, site, path, size)
    bars = browser.execute_script(
        "const chart = document.querySelector('svg');"
        "const edge = chart.getBoundingClientRect();"
        "return [...chart.querySelectorAll('.timeline-bar')].map(bar => {"
        "  const box = bar.getBoundingClientRect();"
        "  return box.width > 0 && box.left >= edge.left - 1 && box.right <= edge.right + 1;});"
    )
    assert bars == [True] * 10
    texts = browser.execute_script(
        "return [...document.querySelectorAll('svg text')].map(text => {"
        "  const box = text.getBoundingClientRect();"
        "  return [parseFloat(getComputedStyle(text).fontSize), box.left, box.right];});"
    )
    assert all(size_px >= 12 for size_px, _, _ in texts)
    assert all(left >= 0 and right <= SIZES[size][0] for _, left, right in texts)
    lines = browser.execute_script(
        "return [...document.querySelectorAll('.timeline-numbers td')].map(cell => {"
        "  const line = document.createRange(); line.selectNodeContents(cell);"
        "  return line.getClientRects().length;});"
    )
    assert set(lines) == {1}, "a number is broken in two"


@pytest.mark.parametrize("total", [0.0255, 0.0299, 0.95, 5.9, 59.0])
def test_ticks_stand_apart(browser: Any, site: WebServer, total: float) -> None:
    """However long it took, the times above the picture do not run into each other on a phone."""
    visit(browser, site, "/", "small phone")
    chart = Timeline("chart", (Bar("bar", 0.0, total),))
    page = engines["django"].from_string(PICTURE).render({"chart": chart})
    browser.get(f"data:text/html;charset=utf-8,{quote(page)}")
    ticks = "return [...document.querySelectorAll('.timeline-tick')].map(one => one.textContent)"
    assert len(browser.execute_script(ticks)) >= 3
    assert covered(browser, ".timeline-tick") == []


def test_the_page_needs_no_script(browser: Any, site: WebServer) -> None:
    """The page has no script; the numbers are in a table, in order."""
    visit(browser, site, PAGES[1], "desk")
    assert browser.execute_script("return document.scripts.length") == 0
    answers = browser.execute_script(
        "return [...document.querySelectorAll('tbody tr')].map(row => row.cells[1].textContent)"
    )
    assert answers == [str(x * x) for x in range(1, 11)]


def test_the_picture_has_a_name_in_the_accessibility_tree(browser: Any, site: WebServer) -> None:
    """A screen reader meets an image with the title of the timeline."""
    visit(browser, site, PAGES[1], "desk")
    nodes = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    images = [node["name"]["value"] for node in nodes if node["role"]["value"] == "image"]
    assert any(name.startswith("Ten slow requests") for name in images)
