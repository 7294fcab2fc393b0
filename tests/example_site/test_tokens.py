"""Tokens between services: who is believed, and what strangers are told."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
import requests
from django.test import override_settings

from example_site.tokens import HEADER, BadToken, ServiceAuth, caller
from tests.fleet import Fleet
from tests.helpers import until

OLD, NEW, STRANGE = "old" * 11, "new" * 11, "strange" * 5
SENTENCE = "This service answers other services alone, by a valid token in X-Service-Token."


def token(service: str = "user", key: str = OLD, **changes: Any) -> str:
    """Return a token of the frontend for a service; a claim that is None is left out."""
    now = int(time.time())
    claims = {"iss": "frontend", "aud": service, "iat": now, "exp": now + 30, **changes}
    kept = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(kept, key, algorithm="HS256" if key else "none")


def sent(keys: list[str], service: str = "user") -> str | None:
    """Return the token that a service with these keys sends to another."""
    with override_settings(SERVICE_TOKEN_KEYS=keys, SERVICE="frontend"):
        request = requests.Request("GET", "http://user.example/", auth=ServiceAuth(service))
        return request.prepare().headers.get(HEADER)


@pytest.fixture
def user() -> Iterator[None]:
    """Be the service of persons, with one key."""
    with override_settings(SERVICE_TOKEN_KEYS=[OLD], SERVICE="user"):
        yield


@pytest.mark.parametrize(
    ("sends", "believes"),
    [
        ([OLD], [OLD]),
        ([OLD], [OLD, NEW]),  # the new one is made known
        ([NEW, OLD], [OLD, NEW]),  # it is put in front, here first
        ([OLD, NEW], [NEW, OLD]),  # or there first
        ([NEW, OLD], [NEW]),  # the old one is taken away
    ],
)
def test_keys_are_changed_without_a_gap(sends: list[str], believes: list[str]) -> None:
    """At each step of a change of keys, who sends a token is believed."""
    found = sent(sends)
    with override_settings(SERVICE_TOKEN_KEYS=believes, SERVICE="user"):
        assert found
        assert caller(found) == "frontend"


def test_without_a_key_nothing_is_sent() -> None:
    """Where there is no key, requests are as they are without tokens."""
    assert sent([]) is None


@pytest.mark.usefixtures("user")
@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param("", id="nothing"),
        pytest.param("a.b.c", id="no token"),
        pytest.param("Übel", id="no ASCII"),
        pytest.param(token(key=STRANGE), id="another key"),
        pytest.param(token(key=""), id="no signature"),
        pytest.param(token("welcome"), id="for another service"),
        pytest.param(token(exp=time.time() - 60), id="too old"),
        pytest.param(token(iat=time.time() + 3600), id="not yet"),
        pytest.param(token(exp=time.time() + 3600), id="good for an hour"),
        pytest.param(token(iat=time.time() - 3600), id="an hour ago, and still good"),
        pytest.param(token(iat=float("-inf")), id="since ever"),
        pytest.param(token(exp=float("inf")), id="for ever"),
        pytest.param(token(exp=str(10**15)), id="until a text"),
        pytest.param(token(aud=["user"]), id="for a list"),
        pytest.param(token(aud=["user", "welcome"]), id="for several services"),
        *(pytest.param(token(**{name: None}), id=f"no {name}") for name in ("iss", "aud", "exp")),
    ],
)
def test_who_is_not_believed(wrong: str) -> None:
    """A token that is not whole, not for here, not for now or not of ours is refused."""
    assert caller(token()) == "frontend"
    with pytest.raises(BadToken):
        caller(wrong)


@pytest.fixture(scope="module")
def closed(services_url: str) -> Iterator[Fleet]:
    """Give services that ask for tokens while keys change; the tweets have a wrong one."""
    environment = {
        "DATABASE_URL": services_url,
        "SERVICE_TOKENS_REQUIRED": "true",
        "PAGE_DEADLINE": "20",
    }
    with Fleet(environment) as fleet:
        fleet.start("user", "welcome", SERVICE_TOKEN_KEYS=f"{NEW},{OLD}")
        fleet.start("frontend", SERVICE_TOKEN_KEYS=OLD)
        fleet.start("tweets", SERVICE_TOKEN_KEYS=STRANGE)
        yield fleet


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("service", "path"), [("user", "/person/adler/"), ("welcome", "/greet/hello/")]
)
def test_a_stranger_is_told_nothing(closed: Fleet, service: str, path: str) -> None:
    """Without a valid token each path is a 401 with a sentence, also one that is not there."""
    for headers in ({}, {HEADER: token(service, STRANGE)}, {HEADER: token("admin")}):
        for asked in (path, "/nothing/"):
            answer = closed[service].get(asked, {**headers, "Accept": "application/json"})
            assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, HEADER)
            assert json.loads(answer.text) == {"status": 401, "error": SENTENCE}
    for key in (OLD, NEW):
        assert closed[service].get(path, {HEADER: token(service, key)}).status == 200


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_stranger_writes_no_line_of_the_log(closed: Fleet) -> None:
    """What a path has of line ends and escapes is escaped where its refusal is logged."""
    assert closed["user"].get("/x%0Aforged%1B[2K%E2%80%A8forged/").status == 401
    until(lambda: "forged" in closed["user"].log(), "the refusal is logged")
    assert r"/x\nforged\x1b[2K\u2028forged/' is refused" in closed["user"].log()
    assert not [line for line in closed["user"].log().splitlines() if line.startswith("forged")]


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_services_know_each_other(closed: Fleet) -> None:
    """A page is complete when the services that it asks ask for tokens."""
    page = closed["frontend"].get("/?person=sherlock&lang=es&tod=18:03:09")
    assert page.status == 200
    assert "Buenas tardes, Sherlock Holmes" in page.text


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_wrong_key_is_no_wrong_question(closed: Fleet) -> None:
    """A service that is not believed says that the other one fails, not that there is nobody."""
    answer = closed["tweets"].get("/tweet/timeline/?people=sherlock")
    assert json.loads(answer.text)[0]["problem"] == (
        "The service 'user' does not answer as it should."
    )
    assert "answered 401: see SERVICE_TOKEN_KEYS of both" in closed["tweets"].log()
