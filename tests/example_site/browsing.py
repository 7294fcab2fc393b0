"""A headless Chromium, and visits with it on a phone and on a desk, in light and in dark."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from selenium import webdriver

from bench.server import WebServer

__all__ = ["PAPER", "SIZES", "chromium", "visit"]

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


@contextmanager
def chromium() -> Iterator[Any]:
    """Run a headless Chromium that keeps its console."""
    program, driver_program = found(*BROWSERS), found("chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver_program))
    # A click may return before the next page is there.
    driver.implicitly_wait(5)
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
