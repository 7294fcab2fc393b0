"""The pages in a headless Chromium, on a phone and on a desk, in light and in dark."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from selenium import webdriver

from tests.servers import WebServer

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(60)]

PAGES = ("/", "/ten-slow-requests/?seconds=0.1", "/ten-slow-queries/?seconds=0.1")
SIZES = {"phone": (390, 844), "small phone": (320, 568), "desk": (1280, 800)}
PAPER = {"light": "rgb(255, 255, 255)", "dark": "rgb(17, 22, 27)"}
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def found(*names: str) -> str:
    """Return the path of the first program there is; skip without one, fail where CI is set."""
    for name in names:
        if path := shutil.which(name):
            return path
    reason = f"needs {' or '.join(names)} (Debian: chromium, chromium-driver)"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Give a headless Chromium that keeps its console."""
    program, driver_program = found(*BROWSERS), found("chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver_program))
    try:
        yield driver
    finally:
        driver.quit()


def visit(browser: Any, site: WebServer, path: str, size: str, scheme: str = "light") -> None:
    """Open a page as somebody who has the password, on a screen of that size."""
    width, height = SIZES[size]
    metrics = {"width": width, "height": height, "deviceScaleFactor": 2, "mobile": size != "desk"}
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Network.enable", {})
    browser.execute_cdp_cmd("Network.setExtraHTTPHeaders", {"headers": site.authorization})
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    browser.get_log("browser")  # what another page has said is not this one's
    browser.get(f"{site.url}{path}")


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
