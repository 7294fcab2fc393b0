"""The HTTP contract of the services, a line for each request, against the running services."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.fleet import Fleet

FACTS = [
    ("user", "/person/sherlock/", "Sherlock Holmes"),
    ("user", "/person/watson/", "John Watson"),
    ("user", "/person/lestrade/", "Inspector G. Lestrade"),
    ("user", "/person/hudson/", "Mrs. Hudson"),
    ("user", "/person/adler/", "Irene Adler"),
    ("user", "/person/moriarty/", "James Moriarty"),
    ("user", "/person/", "adler\nhudson\nlestrade\nmoriarty\nsherlock\nwatson\n"),
    ("welcome", "/greet/hello/", "Hello"),
    ("welcome", "/greet/howareyou/", "How are you"),
    ("welcome", "/greet/goodmorning/", "Good morning"),
    ("welcome", "/greet/goodevening/", "Good evening"),
    ("welcome", "/greet/goodnight/", "Good night"),
    ("welcome", "/greet/tod/00:00:00/", "hello"),
    ("welcome", "/greet/tod/04:59:59/", "hello"),
    ("welcome", "/greet/tod/05:00:00/", "goodmorning"),
    ("welcome", "/greet/tod/11:59:59/", "goodmorning"),
    ("welcome", "/greet/tod/12:00:00/", "hello"),
    ("welcome", "/greet/tod/16:59:59/", "hello"),
    ("welcome", "/greet/tod/17:00:00/", "goodevening"),
    ("welcome", "/greet/tod/20:59:59/", "goodevening"),
    ("welcome", "/greet/tod/21:00:00/", "goodnight"),
    ("welcome", "/greet/tod/23:59:59/", "goodnight"),
    ("welcome", "/translate/hello/en/", "Hello"),
    ("welcome", "/translate/hello/es/", "Hola"),
    ("welcome", "/translate/hello/fr/", "Allo"),
    ("welcome", "/translate/hello/de/", "Hallo"),
    ("welcome", "/translate/goodmorning/en/", "Good morning"),
    ("welcome", "/translate/goodmorning/es/", "Buenos días"),
    ("welcome", "/translate/goodmorning/fr/", "Bonjour"),
    ("welcome", "/translate/goodmorning/de/", "Guten Morgen"),
    ("welcome", "/translate/goodevening/en/", "Good evening"),
    ("welcome", "/translate/goodevening/es/", "Buenas tardes"),
    ("welcome", "/translate/goodevening/fr/", "Bonsoir"),
    ("welcome", "/translate/goodevening/de/", "Guten Abend"),
    ("welcome", "/translate/goodnight/en/", "Good night"),
    ("welcome", "/translate/goodnight/es/", "Buenas noches"),
    ("welcome", "/translate/goodnight/fr/", "Bonne nuit"),
    ("welcome", "/translate/goodnight/de/", "Gute Nacht"),
    ("welcome", "/translate/hello/ES/", "Hola"),
    ("welcome", "/translate/hello/Fr/", "Allo"),
]
OBJECTS = [
    ("user", "/person/adler/", {"slug": "adler", "full_name": "Irene Adler"}),
    ("welcome", "/greet/hello/", {"slug": "hello", "salutation": "Hello"}),
    (
        "welcome",
        "/greet/tod/18:03:09/",
        {"time": "18:03:09", "slug": "goodevening", "salutation": "Good evening"},
    ),
    (
        "welcome",
        "/translate/goodmorning/es/",
        {"slug": "goodmorning", "lang": "es", "translation": "Buenos días"},
    ),
]
ERRORS = [
    ("user", "/person/nobody/", 404, "There is no person 'nobody'."),
    ("user", "/person/%F0%9F%95%B5/", 404, "There is no person '🕵'."),
    ("user", "/person/%00/", 404, "There is no person '\\x00'."),
    ("user", "/person/a%2Fb/", 404, "There is nothing at /person/a/b/."),
    ("user", "/greet/hello/", 404, "There is nothing at /greet/hello/."),
    ("user", f"/person/adler/?{'a&' * 1001}", 400, "This request cannot be understood."),
    ("frontend", f"/?{'a&' * 1001}", 400, "This request cannot be understood."),
    ("user", "/metrics/", 404, "There is nothing at /metrics/."),  # the ops port has them
    ("user", "/person/adler/?format=xml", 400, "The parameter format has to be json or text"),
    ("welcome", "/greet/nothing/", 404, "There is no greeting 'nothing'."),
    ("welcome", "/greet/tod/25:00:00/", 400, "The time has to be from 00:00:00 to 23:59:59"),
    ("welcome", "/greet/tod/12:60:00/", 400, "The time has to be from 00:00:00 to 23:59:59"),
    ("welcome", "/greet/tod/99:99:99/", 400, "The time has to be from 00:00:00 to 23:59:59"),
    ("welcome", "/greet/tod/9:00:00/", 400, "The time has to be from 00:00:00 to 23:59:59"),
    ("welcome", "/greet/tod/abc/", 400, "The time has to be from 00:00:00 to 23:59:59"),
    ("welcome", "/greet/tod/%D9%A1%D9%A2:00:00/", 400, "The time has to be from"),
    ("welcome", "/translate/hello/it/", 404, "There is no translation of 'hello' into 'it'."),
    ("welcome", "/translate/howareyou/en/", 404, "There is no translation of 'howareyou'"),
    ("welcome", "/translate/nothing/en/", 404, "There is no translation of 'nothing' into 'en'."),
]
ABOUT = [
    ("user", "Knows persons: ", ["/person/", "/person/sherlock/"]),
    ("welcome", "Knows greetings, ", ["/greet/hello/", "/greet/tod/18:03:09/"]),
]
ONE_EACH = [("user", "/person/adler/"), ("welcome", "/greet/hello/")]


@pytest.mark.parametrize(("service", "path", "text"), FACTS)
def test_a_fact_is_text(fleet: Fleet, service: str, path: str, text: str) -> None:
    """What curl asks for is answered as plain text."""
    answer = fleet[service].get(path, {"Accept": "*/*"})
    assert (answer.status, answer.text) == (200, text)
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize(("service", "path", "data"), OBJECTS)
@pytest.mark.parametrize("how", ["parameter", "header"])
def test_a_fact_is_json(
    fleet: Fleet, service: str, path: str, data: dict[str, Any], how: str
) -> None:
    """The same fact is an object of JSON to who asks for it, by parameter or by header."""
    if how == "parameter":
        answer = fleet[service].get(f"{path}?format=json")
    else:
        answer = fleet[service].get(path, {"Accept": "application/json"})
    assert (answer.status, json.loads(answer.text)) == (200, data)
    assert answer.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(("service", "sentence", "paths"), ABOUT)
def test_a_service_says_what_it_is(
    fleet: Fleet, service: str, sentence: str, paths: list[str]
) -> None:
    """The first address of an internal service names it, and paths of it that answer."""
    text = fleet[service].get("/").text
    assert text.startswith(f"This is the service {service}. {sentence}")
    found = json.loads(fleet[service].get("/", {"Accept": "application/json"}).text)
    assert (found["service"], found["paths"][:2]) == (service, paths)
    page = fleet[service].get("/", {"Accept": "text/html"})
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    for path in found["paths"]:
        assert path in text.splitlines()
        assert f'<a href="{path}">' in page.text
        assert fleet[service].get(path).status == 200


@pytest.mark.parametrize(("service", "path", "status", "sentence"), ERRORS)
def test_an_error_is_a_sentence(
    fleet: Fleet, service: str, path: str, status: int, sentence: str
) -> None:
    """What is not there, or cannot be, is answered with a sentence: as text, JSON or a page."""
    answer = fleet[service].get(path)
    assert (answer.status, answer.text[: len(sentence)]) == (status, sentence)
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    answer = fleet[service].get(path, {"Accept": "application/json"})
    error = json.loads(answer.text)
    assert (answer.status, error["status"]) == (status, status)
    assert error["error"].startswith(sentence)
    answer = fleet[service].get(path, {"Accept": "text/html"})
    assert (answer.status, answer.headers["Content-Type"]) == (status, "text/html; charset=utf-8")
    assert "Traceback" not in answer.text
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(("service", "path"), ONE_EACH)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_facts_can_only_be_read(fleet: Fleet, service: str, path: str, method: str) -> None:
    """Any other method than GET and HEAD is a 405 that says which are allowed."""
    answer = fleet[service].get(path, method=method)
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(("service", "path"), ONE_EACH)
def test_who_has_it_already_is_told_so(fleet: Fleet, service: str, path: str) -> None:
    """An answer has an ETag, also to HEAD; who sends it back gets a 304 without a body."""
    answer = fleet[service].get(path)
    tag = answer.headers["ETag"]
    assert (answer.headers["Cache-Control"], answer.headers["Vary"]) == (
        "private, max-age=60",
        "Accept",
    )
    again = fleet[service].get(path, {"If-None-Match": tag})
    assert (again.status, again.text, again.headers["ETag"]) == (304, "", tag)
    head = fleet[service].get(path, method="HEAD")
    assert (head.status, head.text, head.headers["ETag"]) == (200, "", tag)
    assert fleet[service].get(f"{path}?format=json").headers["ETag"] != tag


def test_a_slash_that_is_missing_is_added(fleet: Fleet) -> None:
    """An address without the slash at its end leads to that with it."""
    answer = fleet["user"].get("/person/adler")
    assert (answer.status, answer.headers["Location"]) == (301, "/person/adler/")
