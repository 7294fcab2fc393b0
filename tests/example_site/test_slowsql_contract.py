"""The HTTP contract of the demonstration, row by row, against the running site."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest

from tests.servers import WebServer

SQUARES = "".join(f"{x * x}\n" for x in range(1, 11))
ROWS = [
    ("/slow-sql/?x=7&seconds=0", "49"),
    ("/slow-sql/?x=-7&seconds=0", "49"),
    ("/slow-sql/?x=0&seconds=0", "0"),
    ("/slow-sql/?x=%2B7&seconds=0", "49"),
    ("/slow-sql/?x=1000000000&seconds=0", "1000000000000000000"),
    ("/slow-sql/?x=-1000000000&seconds=0", "1000000000000000000"),
    ("/slow-sql/?x=7&seconds=0.05", "49"),
    ("/slow-sql/?x=7&seconds=-0.0", "49"),
    ("/ten-slow-requests/?seconds=0", SQUARES),
    ("/ten-slow-queries/?seconds=0", SQUARES),
    ("/ten-slow-requests/?seconds=0.1", SQUARES),
    ("/ten-slow-queries/?seconds=0.1", SQUARES),
]
GUARDED = ("/slow-sql/?x=7&seconds=0", "/ten-slow-requests/?seconds=0", "/ten-slow-queries/")
BAD_X = (
    *("", "seven", "7.0", "1e3", "1_000", "NaN", "\N{ARABIC-INDIC DIGIT SEVEN}"),
    *("1000000001", "-1000000001", "9" * 3000),
)
BAD_SECONDS = ("", "soon", "-0.001", "20.001", "nan", "inf", "-inf", "1e309", "1_0", "0x1")


def encoded(text: str | bytes) -> str:
    """Return what follows ``Basic`` in a header."""
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


@pytest.mark.parametrize(("path", "text"), ROWS)
def test_answers_plain_text_to_a_program(site: WebServer, path: str, text: str) -> None:
    """What curl asks for, which accepts everything, is answered as plain text."""
    answer = site.get(path, {**site.authorization, "Accept": "*/*"})
    assert (answer.status, answer.text) == (200, text)
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("x", BAD_X)
def test_a_bad_x_is_refused_by_name(site: WebServer, x: str) -> None:
    """An x that is no integer, or too large, is a 400 with a sentence that names it."""
    answer = site.get(f"/slow-sql/?seconds=0&x={quote(x)}", site.authorization)
    assert answer.status == 400
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.text.startswith("The parameter x has to be an integer from ")


def test_a_browser_gets_a_page(site: WebServer) -> None:
    """The same sentence is a page to a browser, as any other error of the site."""
    browser = {**site.authorization, "Accept": "text/html"}
    answer = site.get("/ten-slow-queries/?seconds=x", browser)
    assert (answer.status, answer.headers["Content-Type"]) == (400, "text/html; charset=utf-8")
    assert "<h1>Bad Request</h1>" in answer.text
    assert "The parameter seconds has to be a number" in answer.text


def test_a_missing_x_is_refused_by_name(site: WebServer) -> None:
    """Without x the answer is a 400 that says that it is missing."""
    answer = site.get("/slow-sql/", site.authorization)
    assert answer.status == 400
    assert answer.text.startswith("The parameter x is missing")


@pytest.mark.parametrize("path", ["/slow-sql/?x=7&", "/ten-slow-requests/?", "/ten-slow-queries/?"])
@pytest.mark.parametrize("seconds", BAD_SECONDS)
def test_bad_seconds_are_refused_by_name(site: WebServer, path: str, seconds: str) -> None:
    """Seconds that are no finite number from 0 to 20 are a 400 with a sentence that names them."""
    answer = site.get(f"{path}seconds={seconds}", site.authorization)
    assert answer.status == 400
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.text.startswith("The parameter seconds has to be a number")


@pytest.mark.parametrize("path", GUARDED)
@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic " + "=" * 4,
        "Basic a",
        "Basic ÿÿÿÿ",
        "Basic " + encoded("no colon"),
        "Basic " + encoded(":"),
        "Basic " + encoded("demo:"),
        "Basic " + encoded("demo:wrong"),
        "Basic " + encoded("wrong:wrong"),
        "Basic " + encoded(b"\xff\xfe:\x00"),
        "Basic " + encoded("démo:päss"),
        "Basic " + "A" * 4000,
        "Bearer " + encoded("demo:password"),
        "Digest username=demo",
    ],
)
def test_who_has_not_the_password_is_kept_out(
    site: WebServer, path: str, header: str | None
) -> None:
    """Missing, wrong and malformed credentials are a 401 that asks for basic authentication."""
    headers = {} if header is None else {"Authorization": header}
    answer = site.get(path, headers)
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("half", ["user", "password"])
def test_one_half_of_the_credentials_is_not_enough(site: WebServer, half: str) -> None:
    """The right user with another password is kept out, and so is the reverse."""
    user = site.user if half == "user" else "somebody"
    password = site.password if half == "password" else "something"
    header = {"Authorization": "Basic " + encoded(f"{user}:{password}")}
    assert site.get("/slow-sql/?x=7&seconds=0", header).status == 401


def test_the_scheme_is_read_without_regard_to_case(site: WebServer) -> None:
    """``basic`` in small letters is the same scheme, as HTTP has it."""
    header = {"Authorization": site.authorization["Authorization"].replace("Basic", "basic")}
    assert site.get("/slow-sql/?x=7&seconds=0", header).status == 200


@pytest.mark.parametrize("path", ["/", *GUARDED])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_only_get_and_head_are_allowed(site: WebServer, path: str, method: str) -> None:
    """Any other method is a 405 that says which are allowed."""
    answer = site.get(path, site.authorization, method=method)
    assert answer.status == 405
    assert answer.headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize("path", ["/", "/slow-sql/?x=7&seconds=0", "/ten-slow-queries/?seconds=0"])
def test_head_has_the_headers_of_get_and_no_body(site: WebServer, path: str) -> None:
    """HEAD is answered like GET, without the body."""
    answer = site.get(path, site.authorization, method="HEAD")
    assert (answer.status, answer.text) == (200, "")


@pytest.mark.parametrize("path", ["/ten-slow-requests/", "/ten-slow-queries/"])
@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, "text/plain"),
        ("*/*", "text/plain"),
        ("text/plain", "text/plain"),
        ("text/*", "text/plain"),
        ("application/json", "text/plain"),
        ("text/html;q=0.4,text/plain", "text/plain"),
        ("text/html", "text/html"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"),
    ],
)
def test_what_is_answered_follows_accept(
    site: WebServer, path: str, accept: str | None, kind: str
) -> None:
    """Who prefers HTML gets a page, everybody else text; caches are told what it depends on."""
    headers = site.authorization if accept is None else {**site.authorization, "Accept": accept}
    answer = site.get(f"{path}?seconds=0", headers)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == f"{kind}; charset=utf-8"
    assert answer.headers["Vary"] == "Accept, Accept-Language"
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_index_lists_the_three_pages(site: WebServer) -> None:
    """The first page links to the other three, and needs no password."""
    answer = site.get("/")
    assert answer.status == 200
    for path in ("/slow-sql/?x=7", "/ten-slow-requests/", "/ten-slow-queries/"):
        assert f'href="{path}"' in answer.text
