"""The pages of the services in a headless Chromium: what people see and can do."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from tests.example_site.browsing import PAPER, SIZES, visit
from tests.fleet import Fleet, manage
from tests.servers import Answer

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(90)]

GREETED = "/?person=sherlock&lang=es&tod=18:03:09"
PAGES = {"greeting": GREETED, "everyone": "/everyone/?lang=fr&tod=06:00:00"}
ERRORS = {
    "nobody": "/?person=nobody&lang=de",
    "long": "/?person=" + "W" * 200,
    "time": "/everyone/?tod=25:00:00",
    "nowhere": "/nowhere/",
}
FITS = "return document.documentElement.scrollWidth"
HEADERS = {"Accept": "text/html"}


@pytest.fixture(autouse=True)
def _silent_console(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let no page complain, and nothing that it asks for fail, whatever else a test looks at."""
    yield
    if "browser" in request.fixturenames:
        said = [entry["message"] for entry in request.getfixturevalue("browser").get_log("browser")]
        # That a page itself is answered 404 is said in the console as well.
        assert [line for line in said if "status of 40" not in line or "/static/" in line] == []


def text(browser: Any, selector: str) -> str:
    """Return the text of the first element that a selector finds."""
    return str(browser.find_element(By.CSS_SELECTOR, selector).text)


@pytest.mark.parametrize(
    ("name", "size", "scheme"),
    [
        *itertools.product(PAGES, SIZES, PAPER),
        *itertools.product(ERRORS, ["small phone"], PAPER),
    ],
)
def test_a_page_fits_its_screen(
    browser: Any, fleet: Fleet, name: str, size: str, scheme: str
) -> None:
    """A page scrolls in one direction only, and has the colours that were asked for."""
    visit(browser, fleet["frontend"], {**PAGES, **ERRORS}[name], size, scheme)
    assert browser.execute_script(FITS) <= SIZES[size][0]
    paper = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert paper == PAPER[scheme]
    if name in PAGES:
        assert browser.get_log("browser") == []


@pytest.mark.parametrize(
    ("lang", "greeting", "button"),
    [
        ("en", "Good evening, Sherlock Holmes.", "Greet"),
        ("es", "Buenas tardes, Sherlock Holmes.", "Saludar"),
        ("fr", "Bonsoir, Sherlock Holmes.", "Saluer"),
        ("de", "Guten Abend, Sherlock Holmes.", "Grüßen"),
    ],
)
def test_the_front_page_in_four_languages(
    browser: Any, fleet: Fleet, lang: str, greeting: str, button: str
) -> None:
    """The greeting is the largest text, and the page around it is in the same language."""
    visit(browser, fleet["frontend"], f"/?person=sherlock&lang={lang}&tod=18:03:09", "desk")
    assert text(browser, ".greeting") == greeting
    assert text(browser, "form button") == button
    assert browser.execute_script("return document.documentElement.lang") == lang
    sizes = browser.execute_script(
        "return [...document.querySelectorAll('main *')].map("
        "one => [parseFloat(getComputedStyle(one).fontSize), one.className.toString()])"
    )
    assert max(sizes)[1] == "greeting"


@pytest.mark.parametrize(
    ("tod", "greeting"),
    [
        ("04:59:59", "Hallo"),
        ("05:00:00", "Guten Morgen"),
        ("16:59:59", "Hallo"),
        ("17:00:00", "Guten Abend"),
        ("20:59:59", "Guten Abend"),
        ("21:00:00", "Gute Nacht"),
    ],
)
def test_the_form_greets(browser: Any, fleet: Fleet, tod: str, greeting: str) -> None:
    """Who fills the form in gets the greeting for that person, language and time."""
    visit(browser, fleet["frontend"], "/", "phone")
    browser.find_element(By.ID, "person").send_keys("watson")
    Select(browser.find_element(By.ID, "lang")).select_by_value("de")
    browser.execute_script("document.getElementById('tod').value = arguments[0]", tod)
    browser.find_element(By.CSS_SELECTOR, "form button").click()
    assert text(browser, ".greeting") == f"{greeting}, John Watson."
    assert browser.find_element(By.ID, "person").get_attribute("value") == "watson"
    assert browser.find_element(By.ID, "lang").get_attribute("value") == "de"


def test_everyone_and_the_picture_of_the_calls(browser: Any, fleet: Fleet) -> None:
    """Six people are greeted, and fourteen calls are drawn, each within the picture."""
    visit(browser, fleet["frontend"], PAGES["everyone"], "small phone")
    people = [one.text for one in browser.find_elements(By.CSS_SELECTOR, ".everyone li")]
    assert people[0] == "Bonjour, Irene Adler."
    assert len(people) == 6
    places = browser.execute_script(
        "const edge = document.querySelector('svg').getBoundingClientRect();"
        "return [...document.querySelectorAll('svg:first-of-type .timeline-bar')].map(bar => {"
        "  const box = bar.getBoundingClientRect();"
        "  return box.left >= edge.left - 1 && box.right <= edge.right + 1;});"
    )
    assert places == [True] * len(places)
    assert len(places) >= 14
    beside = browser.execute_script(
        "const rows = [...document.querySelectorAll('svg:first-of-type .timeline-label')];"
        "return rows.every(label => label.getBoundingClientRect().right < innerWidth - 50)"
    )
    assert beside, "a label runs into the time beside it"
    high = browser.execute_script(
        "return [...document.querySelectorAll('.timeline-numbers td:not(.timeline-answer)')].map("
        "cell => { const line = document.createRange(); line.selectNodeContents(cell);"
        "  return line.getClientRects().length; })"
    )
    assert set(high) == {1}, "a number is broken in two"


def test_who_does_not_see_the_page_can_use_it(browser: Any, fleet: Fleet) -> None:
    """Each field has a name, the problem is announced, and headings begin with the first."""
    visit(browser, fleet["frontend"], ERRORS["nobody"], "desk")
    nodes = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    named = {(node["role"]["value"], node.get("name", {}).get("value")) for node in nodes}
    assert {("button", "Grüßen"), ("navigation", "Seiten")} <= named
    assert ("combobox", "Sprache") in named or ("MenuListPopup", "Sprache") in named
    assert "alert" in {role for role, _ in named}
    headings = browser.execute_script(
        "return [...document.querySelectorAll('h1, h2, h3')].map(one => one.tagName)"
    )
    assert headings[0] == "H1"
    assert headings.count("H1") == 1


@pytest.fixture(scope="module")
def admin(fleet: Fleet, services_url: str) -> Iterator[Fleet]:
    """Give the admin service with the account of the demonstration."""
    account = {"DEMO_USER": "someone", "DEMO_PASSWORD": "and a password", "TRUSTED_PROXIES": "1"}
    manage("seed_account", environment={"DATABASE_URL": services_url, **account})
    with Fleet({"DATABASE_URL": services_url, **account}) as own:
        own.start("admin")
        yield own


@pytest.mark.parametrize(
    ("path", "status", "location"),
    [
        ("/", 302, "/admin/"),
        ("/admin", 301, "/admin/"),
        ("/admin/", 302, "/admin/login/?next=/admin/"),
        ("/admin/person/person/", 302, "/admin/login/?next=/admin/person/person/"),
        ("/admin/nothing/", 302, "/admin/login/?next=/admin/nothing/"),
        ("/admin/login/", 200, None),
        (f"/admin/login/?{'a&' * 1001}", 400, None),
        ("/static/admin/css/base.css", 200, None),
        ("/nothing/", 404, None),
        ("/person/adler/", 404, None),
    ],
)
def test_the_admin_for_strangers(
    admin: Fleet, path: str, status: int, location: str | None
) -> None:
    """Who has not logged in is led to the login, and is told nothing of what there is."""
    answer = admin["admin"].get(path, HEADERS)
    assert (answer.status, answer.headers["Location"]) == (status, location)


def test_a_form_of_somebody_else(admin: Fleet) -> None:
    """A form that is not this site's own is refused by a page like all others."""
    answer = admin["admin"].get("/admin/login/", HEADERS, method="POST")
    assert (answer.status, "<h1>Forbidden</h1>" in answer.text) == (403, True)
    assert "This form is too old or not ours. Go back and load it anew." in answer.text


def test_passwords_are_not_tried_for_ever(admin: Fleet) -> None:
    """After ten forms in a minute an address is sent away, and no other one."""
    stranger, other = ({"X-Forwarded-For": f"198.51.100.{last}"} for last in (1, 2))

    def send(headers: dict[str, str]) -> Answer:
        return admin["admin"].get("/admin/login/", headers, method="POST")

    # A minute may end meanwhile. Without its own token a form is a 403.
    answers = [send(stranger) for _ in range(21)]
    assert [one.status for one in answers[:10]] == [403] * 10
    refused = [one for one in answers if one.status == 429]
    assert refused
    assert refused[0].text == "Too many attempts to log in. Try again in a minute.\n"
    assert 0 < int(refused[0].headers["Retry-After"]) <= 60
    assert send(other).status == 403


def test_the_admin(browser: Any, admin: Fleet) -> None:
    """The first page leads to the login; who logs in finds the models of all apps, with style."""
    visit(browser, admin["admin"], "/", "desk")
    assert browser.current_url.endswith("/admin/login/?next=/admin/")
    browser.find_element(By.NAME, "username").send_keys("someone")
    browser.find_element(By.NAME, "password").send_keys("and a password")
    browser.find_element(By.CSS_SELECTOR, "[type=submit]").click()
    for model in ("person", "greeting", "translation", "tweet", "user", "tokenproxy"):
        assert browser.find_elements(By.CSS_SELECTOR, f"tr.model-{model}"), model
    browser.find_element(By.CSS_SELECTOR, "tr.model-translation a").click()
    assert text(browser, ".paginator").startswith("16 ")
    header = "return getComputedStyle(document.querySelector('#header')).backgroundColor"
    assert browser.execute_script(header) != "rgba(0, 0, 0, 0)"
