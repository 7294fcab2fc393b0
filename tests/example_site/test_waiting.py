"""A page whose result takes seconds: what is seen before, and what when it fails after all."""

from __future__ import annotations

import http.client
import socket
import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from selenium.webdriver.common.by import By

from tests.example_site.browsing import PAPER, SIZES, visit
from tests.helpers import until
from tests.servers import Sessions, WebServer, named, serve

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]

NAME = "waiting"
BAR = b'class="waiting-bar"'
PAGES = ("/ten-slow-requests/", "/ten-slow-queries/")


@pytest.fixture(scope="module")
def server(postgres_url: str) -> Iterator[WebServer]:
    """Give an example of one's own, whose statements a test may break."""
    with serve({"DATABASE_URL": named(postgres_url, NAME)}) as server:
        yield server


@pytest.fixture
def sessions(postgres_url: str, server: WebServer) -> Iterator[Sessions]:
    """Give the sessions of that example."""
    with Sessions(postgres_url, NAME) as sessions:
        yield sessions


@contextmanager
def begun(server: WebServer, path: str) -> Iterator[tuple[http.client.HTTPResponse, str]]:
    """Ask for a page as a browser, and give the answer with what of it has come first."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    with closing(connection):
        connection.request("GET", path, headers={**server.authorization, "Accept": "text/html"})
        answer = connection.getresponse()
        beginning = b""
        while BAR not in beginning:
            more = answer.read1()
            assert more, beginning
            beginning += more
        yield answer, beginning.decode()


@pytest.mark.parametrize("page", PAGES)
def test_the_beginning_comes_while_statements_run(
    server: WebServer, sessions: Sessions, page: str
) -> None:
    """The page has a bar that moves for as long as it takes; the rest of it has the result."""
    with begun(server, f"{page}?seconds=4&lang=de") as (answer, beginning):
        until(lambda: len(sessions.active()) == 10, "ten statements are executed")
        assert (answer.status, answer.headers["X-Accel-Buffering"]) == (200, "no")
        assert 'style="animation-duration: 4s"' in beginning
        assert "Die Antwort ist nach 4 s da." in beginning
        assert "Schneller um" not in beginning
        rest = answer.read().decode()
    assert "Schneller um" in rest
    assert rest.rstrip().endswith("</html>")


@pytest.mark.parametrize("page", PAGES)
def test_a_failure_is_said_in_a_page_that_has_begun(
    server: WebServer, sessions: Sessions, page: str
) -> None:
    """The page is complete, and what the server said of the statement is in it."""
    with begun(server, f"{page}?seconds=20") as (answer, beginning):
        until(lambda: len(sessions.active()) == 10, "ten statements are executed")
        sessions.terminate(1)
        rest = answer.read().decode()
    assert 'role="alert"' not in beginning
    assert 'role="alert">x=' in rest
    assert "terminating connection due to administrator command" in rest
    assert rest.rstrip().endswith("</html>")


def test_what_fails_at_once_has_a_status_of_its_own(postgres_url: str) -> None:
    """Before anything is sent a failure is the same 502 as for a program."""
    elsewhere = {"DATABASE_URL": postgres_url, "DEMO_BASE_URL": "http://127.0.0.1:19"}
    with serve(elsewhere) as server:
        browser = {**server.authorization, "Accept": "text/html"}
        path = f"{PAGES[0]}?seconds=20"
        # Not in a moment in which the machine is so busy that a page begins before.
        until(lambda: server.get(path, browser).status == 502, "it fails at once")


def test_what_is_there_at_once_needs_no_bar(server: WebServer) -> None:
    """A page whose result is known soon comes as one."""
    browser = {**server.authorization, "Accept": "text/html"}
    path = f"{PAGES[1]}?seconds=0"
    until(lambda: BAR.decode() not in server.get(path, browser).text, "it comes as one")


def test_statements_end_with_a_client_that_goes(server: WebServer, sessions: Sessions) -> None:
    """Who closes the page while it waits leaves no statement of 20 s behind."""
    path = f"{PAGES[1]}?seconds=20"
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/html\r\n"
    credentials = f"Authorization: {server.authorization['Authorization']}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall((request + credentials).encode())
        until(lambda: len(sessions.active()) == 10, "ten statements are executed")
        read_until(client, BAR)
        # Reset instead of closed, which the server sees at once.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    until(lambda: not sessions.active(), "all statements were cancelled")


def read_until(client: socket.socket, end: bytes) -> None:
    """Read up to a piece of text."""
    found = b""
    while end not in found:
        more = client.recv(65536)
        assert more, found
        found += more


@pytest.mark.browser
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", PAPER)
def test_the_bar_goes_when_the_result_comes(
    browser: Any, server: WebServer, size: str, scheme: str
) -> None:
    """In a browser the result takes the place of the bar, and no script does it."""
    visit(browser, server, f"{PAGES[1]}?seconds=0.8", size, scheme)
    assert len(browser.find_elements(By.CSS_SELECTOR, ".timeline-numbers tbody tr")) == 10
    assert not browser.find_element(By.CSS_SELECTOR, ".waiting").is_displayed()
    assert browser.execute_script("return document.scripts.length") == 0
    assert browser.execute_script("return document.documentElement.scrollWidth") <= SIZES[size][0]
    assert browser.get_log("browser") == []
