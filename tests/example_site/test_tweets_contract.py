"""The HTTP contract of the tweets, against the running service: a line for each request."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import gevent
import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.example_site.tweeting import PASSWORD, USER, Tweeting
from tests.helpers import until

# The first test waits for three commands and a server.
pytestmark = pytest.mark.timeout(120)

TEXT_TOO_LONG = {"text": ["Ensure this field has no more than 140 characters."]}
NOT_FOUND = {"detail": "Not found."}
NO_ACCOUNT = {"detail": "Authentication credentials were not provided."}
INVALID_CURSOR = {"detail": "Invalid cursor"}
SLUG = "Enter a valid “slug” consisting of letters, numbers, underscores or hyphens."
HELLO = {"text": "Hello"}

REFUSED: list[tuple[str, str, Any, int, object]] = [
    ("POST", "/tweet/", {}, 400, {"text": ["This field is required."]}),
    ("POST", "/tweet/", {"text": "x" * 141}, 400, TEXT_TOO_LONG),
    ("POST", "/tweet/", {"text": " "}, 400, {"text": ["This field may not be blank."]}),
    ("POST", "/tweet/", {"text": "\0"}, 400, {"text": ["Null characters are not allowed."]}),
    ("POST", "/tweet/", {"text": "x", "person": "a b"}, 400, {"person": [SLUG]}),
    ("PUT", "/tweet/1", {}, 400, {"text": ["This field is required."]}),
    ("PATCH", "/tweet/1", {"text": "x" * 141}, 400, TEXT_TOO_LONG),
    ("GET", "/tweet/999", None, 404, NOT_FOUND),
    ("GET", f"/tweet/{10**30}", None, 404, NOT_FOUND),
    ("GET", "/tweet/-1", None, 404, NOT_FOUND),
    ("GET", "/tweet/abc", None, 404, NOT_FOUND),
    ("GET", "/tweet/%00", None, 404, NOT_FOUND),
    ("PUT", "/tweet/999", HELLO, 404, NOT_FOUND),
    ("PATCH", "/tweet/999", HELLO, 404, NOT_FOUND),
    ("DELETE", "/tweet/999", None, 404, NOT_FOUND),
    ("GET", "/tweet/?cursor=x", None, 404, INVALID_CURSOR),
    ("GET", "/tweet/?cursor=cD1hYmM=", None, 404, INVALID_CURSOR),  # p=abc
    ("GET", "/tweet/?cursor=cD05OTk5OTk5OTk5OTk5OTk5OTk5OQ==", None, 404, INVALID_CURSOR),
    ("GET", "/tweet/?person=%00", None, 400, {"person": ["Null characters are not allowed."]}),
    ("GET", "/tweet/?format=xml", None, 404, NOT_FOUND),
    ("GET", "/tweet/timeline/", None, 400, {"people": ["This field is required."]}),
    ("GET", "/tweet/timeline/?people=,", None, 400, {"people": ["Name at least one person."]}),
    (
        *("GET", f"/tweet/timeline/?people={','.join(map(str, range(21)))}", None),
        *(400, {"people": ["Name at most 20 persons, not 21."]}),
    ),
]
NOT_ALLOWED = [
    ("DELETE", "/tweet/", "GET, POST, HEAD, OPTIONS"),
    ("PUT", "/tweet/", "GET, POST, HEAD, OPTIONS"),
    ("POST", "/tweet/1", "GET, PUT, PATCH, DELETE, HEAD, OPTIONS"),
    ("POST", "/tweet/timeline/", "GET, HEAD, OPTIONS"),
]
PLACES = [
    "/tweet/{}",
    "/tweet/?person={}",
    "/tweet/?cursor={}",
    "/tweet/?page_size={}",
    "/tweet/timeline/?people={}",
]
WRITES = [("POST", "/tweet/"), ("PUT", "/tweet/1"), ("PATCH", "/tweet/1"), ("DELETE", "/tweet/1")]


@pytest.fixture(autouse=True)
def _tidy(tweets: Tweeting) -> Iterator[None]:
    """Leave the two tweets of the beginning, and a service of persons that answers."""
    yield
    tweets.tidy()
    tweets.people.calm()


def create(tweets: Tweeting, **data: str) -> str:
    """Add a tweet, and return its address."""
    return tweets.ask("POST", "/tweet/", json=data).headers["Location"]


def test_the_two_of_the_beginning(tweets: Tweeting) -> None:
    """The list is an array of objects, the newest first; what their addresses give is the same."""
    answer = tweets.ask("GET", "/tweet/", account=False)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    found = answer.json()
    assert [tweet["text"] for tweet in found] == ["This is another test", "This is a test"]
    assert [tweet["person"] for tweet in found] == ["watson", "sherlock"]
    assert [tweet["href"] for tweet in found] == [
        f"{tweets.server.url}/tweet/2",
        f"{tweets.server.url}/tweet/1",
    ]
    for tweet in found:
        assert set(tweet) == {"text", "timestamp", "href", "person"}
        again = tweets.ask("GET", tweet["href"], account=False)
        assert (again.status_code, again.json()) == (200, tweet)


@pytest.mark.parametrize(("method", "path", "body", "status", "error"), REFUSED)
def test_what_is_wrong_is_said(
    tweets: Tweeting, method: str, path: str, body: Any, status: int, error: object
) -> None:
    """A request that cannot be is answered with what is wrong with it, as JSON."""
    answer = tweets.ask(method, path, json=body)
    assert (answer.status_code, answer.json()) == (status, error)


@pytest.mark.parametrize(("method", "path", "allowed"), NOT_ALLOWED)
@pytest.mark.parametrize("account", [True, False])
def test_methods_that_there_are_not(
    tweets: Tweeting, method: str, path: str, allowed: str, account: bool
) -> None:
    """A method that there is not is a 405 which names those that there are, to everybody."""
    answer = tweets.ask(method, path, account=account, json=HELLO)
    assert answer.json() == {"detail": f'Method "{method}" not allowed.'}
    assert (answer.status_code, answer.headers["Allow"]) == (405, allowed)


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_who_writes_needs_an_account(tweets: Tweeting, method: str, path: str) -> None:
    """Without a token, or with a wrong one, a write is a 401 that says what is missing."""
    answer = tweets.ask(method, path, account=False, json=HELLO)
    assert (answer.status_code, answer.json()) == (401, NO_ACCOUNT)
    assert answer.headers["WWW-Authenticate"] == "Token"
    wrong = {"Authorization": "Token wrong"}
    answer = tweets.ask(method, path, account=False, json=HELLO, headers=wrong)
    assert (answer.status_code, answer.json()) == (401, {"detail": "Invalid token."})


@pytest.mark.parametrize(
    ("body", "start"),
    [
        (b"{text", "JSON parse error - Expecting property name"),
        (b'{"text": "\xff"}', "JSON parse error - 'utf-8' codec can't decode"),
        (b"[" * 200_000, "JSON parse error - nested too deeply"),
    ],
)
def test_what_is_no_json(tweets: Tweeting, body: bytes, start: str) -> None:
    """A body that is no JSON is a 400 that tells where it ends to be."""
    kind = {"Content-Type": "application/json"}
    answer = tweets.ask("POST", "/tweet/", data=body, headers=kind)
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith(start)


def test_another_kind_of_body(tweets: Tweeting) -> None:
    """What is neither JSON nor a form is a 415."""
    answer = tweets.ask("POST", "/tweet/", data="<a/>", headers={"Content-Type": "text/xml"})
    assert answer.status_code == 415
    assert answer.json() == {"detail": 'Unsupported media type "text/xml" in request.'}


def test_a_body_that_is_too_large(tweets: Tweeting) -> None:
    """A body of more than 2.5 MB is a 413, whatever it is."""
    for kind in ("application/json", "application/x-www-form-urlencoded"):
        answer = tweets.ask(
            "POST", "/tweet/", data=b"x" * 2_700_000, headers={"Content-Type": kind}
        )
        assert (answer.status_code, answer.json()) == (413, {"detail": "This is too large."})


def test_the_life_of_a_tweet(tweets: Tweeting) -> None:
    """A tweet is created with its address, read, replaced, changed in part, and removed."""
    made = tweets.ask("POST", "/tweet/", json={"text": "New", "timestamp": "1999-01-01T00:00:00Z"})
    assert made.status_code == 201
    tweet = made.json()
    assert set(tweet) == {"text", "timestamp", "href", "person"}
    assert (tweet["text"], tweet["href"]) == ("New", made.headers["Location"])
    assert tweet["timestamp"] > "2020"
    href = tweet["href"]
    assert tweets.ask("GET", href).json() == tweet
    for method, text in (("PUT", "Replaced"), ("PATCH", "Changed")):
        answer = tweets.ask(method, href, json={"text": text, "timestamp": "1999-01-01T00:00:00Z"})
        assert (answer.status_code, answer.json()) == (200, {**tweet, "text": text})
    gone = tweets.ask("DELETE", href)
    assert (gone.status_code, gone.content) == (204, b"")
    assert tweets.ask("GET", href).status_code == 404


def test_a_query_that_nobody_reads(tweets: Tweeting) -> None:
    """More parameters than Django reads are a 400 with a sentence, and no failure of the server."""
    answer = tweets.ask("GET", f"/tweet/?{'a&' * 1001}")
    assert answer.status_code == 400
    assert answer.text == "This request cannot be understood.\n"


def test_slashes(tweets: Tweeting) -> None:
    """One tweet is without a slash and nothing with it; to the list, the slash is added."""
    assert tweets.ask("GET", "/tweet/1/").status_code == 404
    answer = tweets.ask("GET", "/tweet")
    assert (answer.status_code, answer.headers["Location"]) == (301, "/tweet/")
    answer = tweets.ask("GET", "/tweet/timeline?people=adler")
    assert answer.headers["Location"] == "/tweet/timeline/?people=adler"


def test_pages_while_others_write(tweets: Tweeting) -> None:
    """Page after page, each tweet comes once and in order, whatever is written in between."""
    made = [create(tweets, text=str(number)) for number in range(5)]
    page = tweets.ask("GET", "/tweet/?page_size=2")
    pages = [[tweet["text"] for tweet in page.json()]]
    create(tweets, text="too late")
    tweets.ask("DELETE", made[3])  # the one where the first page ends
    while "next" in page.links:
        page = tweets.ask("GET", page.links["next"]["url"])
        pages.append([tweet["text"] for tweet in page.json()])
    assert pages == [["4", "3"], ["2", "1"], ["0", "This is another test"], ["This is a test"]]
    back = tweets.ask("GET", page.links["prev"]["url"])
    assert [tweet["text"] for tweet in back.json()] == pages[-2]


def test_the_tweets_of_one_person(tweets: Tweeting) -> None:
    """A list can be of one person alone."""
    create(tweets, text="Elementary", person="sherlock")
    found = tweets.ask("GET", "/tweet/?person=sherlock").json()
    assert [tweet["text"] for tweet in found] == ["Elementary", "This is a test"]


@pytest.mark.slow
@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=st.text(), where=st.sampled_from(PLACES))
def test_no_text_is_an_error_of_the_server(tweets: Tweeting, text: str, where: str) -> None:
    """Whatever is asked for, in a path or in a query, it is never the server's fault."""
    answer = tweets.ask("GET", where.format(quote(text, safe="")))
    assert answer.status_code < 500


def test_a_timeline_is_gathered_in_parallel(tweets: Tweeting) -> None:
    """The names of all people are asked for before the first one answers; the order is kept."""
    tweets.people.moods["/person/"] = "silent"
    tweets.people.asked.clear()
    path = "/tweet/timeline/?people=watson,nobody,adler,watson"
    asking = gevent.spawn(tweets.ask, "GET", path, account=False)
    wanted = {f"/person/{slug}/" for slug in ("watson", "nobody", "adler")}
    until(lambda: set(tweets.people.asked) == wanted, "all three are asked for")
    tweets.people.calm()
    answer = asking.get(timeout=10)
    assert answer.status_code == 200
    texts = [
        (entry["person"], entry["name"], entry["problem"], [one["text"] for one in entry["tweets"]])
        for entry in answer.json()
    ]
    assert texts == [
        ("watson", "John Watson", None, ["This is another test"]),
        ("nobody", None, "There is no person 'nobody'.", []),
        ("adler", "Irene Adler", None, []),
    ]


@pytest.mark.parametrize("mood", ["broken", "garbage", "list", "late", "gone"])
def test_a_timeline_without_names(tweets: Tweeting, mood: str) -> None:
    """Where the service of persons fails, the tweets are there all the same, with the reason."""
    tweets.people.moods["/person/watson"] = mood
    answer = tweets.ask("GET", "/tweet/timeline/?people=watson,adler")
    watson, adler = answer.json()
    assert watson["problem"] == "The service 'user' does not answer as it should."
    assert (watson["name"], len(watson["tweets"])) == (None, 1)
    assert adler["name"] == "Irene Adler"


def test_the_health(tweets: Tweeting) -> None:
    """Who asks for the health is told that the database answers."""
    answer = tweets.ask("GET", "/healthcheck/", account=False)
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "db": {"status": "ok"}}


def test_a_browser_signs_in_and_writes(tweets: Tweeting) -> None:
    """A session may write as a token may, but only with the form's own token beside it."""
    url = tweets.server.url
    with requests.Session() as browser:
        login = browser.get(f"{url}/account/login/?next=/tweet/", timeout=20)
        secret = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', login.text)[1]
        data = {"username": USER, "password": PASSWORD, "csrfmiddlewaretoken": secret}
        page = browser.post(login.url, data={**data, "next": "/tweet/"}, timeout=20)
        assert page.url == f"{url}/tweet/"
        forged = browser.post(page.url, json=HELLO, timeout=20)
        assert (forged.status_code, forged.json()["detail"][:11]) == (403, "CSRF Failed")
        header = {"X-CSRFToken": browser.cookies["csrftoken"]}
        assert browser.post(page.url, json=HELLO, headers=header, timeout=20).status_code == 201


def test_passwords_are_not_tried_for_ever(tweets: Tweeting) -> None:
    """After ten forms in a minute, the login sends an address away."""
    stranger = {"X-Forwarded-For": "198.51.100.1"}

    def send() -> int:
        path = "/account/login/"
        return tweets.ask("POST", path, account=False, headers=stranger).status_code

    # A minute may end meanwhile. Without its own token a form is a 403.
    statuses = [send() for _ in range(21)]
    assert (statuses[:10], set(statuses)) == ([403] * 10, {403, 429})


@pytest.mark.parametrize(
    "path", ["/tweet/", "/tweet/1", "/tweet/timeline/?people=watson", "/docs/"]
)
def test_a_page_for_people(tweets: Tweeting, path: str) -> None:
    """A browser gets a page, and all that the page needs from this service alone."""
    answer = tweets.ask("GET", path, headers={"Accept": "text/html"})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    needed = re.findall(r'<(?:script|link|img)[^>]* (?:src|href)="([^"]+)"', answer.text)
    assert needed
    for asset in needed:
        assert asset.startswith("/static/")
        assert tweets.ask("HEAD", asset).status_code == 200, asset


def test_the_schema_names_every_path(tweets: Tweeting) -> None:
    """The schema is there for programs, and the first page leads to the one for people."""
    schema = json.loads(tweets.ask("GET", "/schema/?format=json").text)
    assert set(schema["paths"]) == {"/tweet/", "/tweet/{id}", "/tweet/timeline/"}
    assert tweets.ask("GET", "/").headers["Location"] == "/docs/"
