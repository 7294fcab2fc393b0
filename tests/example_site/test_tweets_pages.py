"""The pages of the tweets in a headless Chromium: signing in, the form, the description."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.example_site.browsing import SIZES, visit
from tests.example_site.tweeting import PASSWORD, USER, Tweeting

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture(autouse=True)
def _tidy(browser: Any, tweets: Tweeting) -> Iterator[None]:
    """Leave neither a session nor a tweet behind."""
    yield
    browser.delete_all_cookies()
    tweets.tidy()


def text(browser: Any, selector: str) -> str:
    """Return the text of the first element that a selector finds."""
    return str(browser.find_element(By.CSS_SELECTOR, selector).text)


def complaints(browser: Any) -> list[str]:
    """Return what the console says, but for advice on pages that are the framework's."""
    log = browser.get_log("browser")
    return [entry["message"] for entry in log if entry["source"] != "recommendation"]


def show(browser: Any, tweets: Tweeting, path: str, size: str, scheme: str = "light") -> None:
    """Open a page as somebody without an account."""
    visit(browser, tweets.server, "/healthcheck/", size, scheme)
    # The service of tweets knows no password in a header.
    browser.execute_cdp_cmd("Network.setExtraHTTPHeaders", {"headers": {}})
    browser.get(f"{tweets.server.url}{path}")


def test_a_tweet_by_the_form(browser: Any, tweets: Tweeting) -> None:
    """On a phone, who signs in finds a form, and what is written there is a tweet."""
    show(browser, tweets, "/account/login/?next=/tweet/", "phone")
    browser.find_element(By.NAME, "username").send_keys(USER)
    browser.find_element(By.NAME, "password").send_keys(PASSWORD)
    browser.find_element(By.NAME, "submit").click()
    browser.find_element(By.NAME, "text").send_keys("By hand")
    browser.find_element(By.CSS_SELECTOR, "#post-object-form .form-actions button").click()
    assert "201 Created" in text(browser, ".response-info")
    assert (
        browser.execute_script("return document.documentElement.scrollWidth") <= SIZES["phone"][0]
    )
    assert complaints(browser) == []
    assert tweets.ask("GET", "/tweet/").json()[0]["text"] == "By hand"


@pytest.mark.parametrize(
    ("path", "paper", "text"),
    [
        ("/tweet/", "rgb(17, 22, 27)", ".prettyprint"),
        ("/account/login/", "rgb(17, 22, 27)", "label"),
        ("/docs/", "rgb(28, 32, 34)", ".info p"),
    ],
)
@pytest.mark.parametrize("size", ["phone", "desk"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_has_the_colours_asked_for(
    browser: Any, tweets: Tweeting, path: str, paper: str, text: str, size: str, scheme: str
) -> None:
    """The frameworks' pages are dark for who wants it, with light text on them."""
    show(browser, tweets, path, size, scheme)
    WebDriverWait(browser, 20).until(lambda found: found.find_elements(By.CSS_SELECTOR, text))
    background, colour = browser.execute_script(
        "return [getComputedStyle(document.body).backgroundColor,"
        "  getComputedStyle(document.querySelector(arguments[0])).color.match(/[0-9]+/g)]",
        text,
    )
    assert (background == paper) == (scheme == "dark")
    assert (min(map(int, colour[:3])) > 150) == (scheme == "dark")
    assert complaints(browser) == []


def test_the_description_needs_nobody_else(browser: Any, tweets: Tweeting) -> None:
    """The page of the schema lists the operations, out of scripts of its own."""
    show(browser, tweets, "/docs/", "desk")
    operations = WebDriverWait(browser, 20).until(
        lambda found: found.find_elements(By.CSS_SELECTOR, ".opblock")
    )
    assert len(operations) == 7
    assert complaints(browser) == []
