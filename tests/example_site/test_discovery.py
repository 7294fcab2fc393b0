"""Addresses of other services: nothing that a user writes leads elsewhere."""

from __future__ import annotations

from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import requests
from django.test import override_settings
from hypothesis import given, settings
from hypothesis import strategies as st

from example_site import discovery

HERE = override_settings(SERVICE_URLS={"user": "http://one:1/", "welcome": "https://two/below"})
# No limit for one example: others may use the machine.
THOROUGH = settings(deadline=None, max_examples=50)
REACHABLE = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(
    lambda text: text not in {".", ".."}
)


@HERE
def test_addresses() -> None:
    """An address has the base of its service, the parts of the path, and a slash at the end."""
    assert discovery.url("user", "person", "adler") == "http://one:1/person/adler/"
    assert discovery.url("welcome", "greet", "tod", "18:03:09").endswith("/tod/18%3A03%3A09/")
    assert discovery.url("user", "a/b?c=d#e%") == "http://one:1/a%2Fb%3Fc%3Dd%23e%25/"
    assert discovery.url("welcome", format="json", q="a&b") == (
        "https://two/below/?format=json&q=a%26b"
    )


@HERE
def test_an_unknown_service_is_named() -> None:
    """Who asks for a service that there is not learns which there are."""
    with pytest.raises(discovery.UnknownService, match="no service 'x'; there are user, welcome"):
        discovery.url("x")


@HERE
@pytest.mark.parametrize("part", ["", ".", ".."])
def test_dots_lead_nowhere(part: str) -> None:
    """What a client of HTTP would take out of the path is refused."""
    with pytest.raises(discovery.UnreachablePath):
        discovery.url("user", "person", part)


@HERE
@THOROUGH
@given(st.lists(REACHABLE, max_size=3), st.dictionaries(st.sampled_from("abc"), st.text()))
def test_what_goes_in_comes_out(path: list[str], query: dict[str, str]) -> None:
    """Whatever a part or a parameter is, the server sees that part, at that place."""
    address = requests.Request("GET", discovery.url("user", *path, **query)).prepare().url
    parts = urlsplit(str(address))
    assert parts.netloc == "one:1"
    assert [unquote(part) for part in parts.path.split("/")] == ["", *path, ""]
    seen = parse_qs(parts.query, keep_blank_values=True)
    assert seen == {key: [value.encode(errors="replace").decode()] for key, value in query.items()}


@HERE
@THOROUGH
@given(st.text())
def test_no_text_makes_it_fail(part: str) -> None:
    """Also half of a surrogate pair makes an address, or is refused as a path."""
    try:
        requests.Request("GET", discovery.url("user", part)).prepare()
    except discovery.UnreachablePath:
        assert part in {"", ".", ".."}
