"""What the server accepts beyond llhttp: fields of proxies, sizes, bodies in small pieces."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from concurrency.server.worker.http1.body import Store
from concurrency.server.worker.http1.parser import Parser
from concurrency.server.worker.http1.request import Request
from concurrency.server.worker.http1.rules import Rules

PROXY = ("10.0.0.1", 1)
STRANGER = ("203.0.113.9", 1)
TRUSTING: dict[str, Any] = {
    "networks": (__import__("ipaddress").ip_network("10.0.0.0/8"),),
    "forwarder_headers": frozenset(("SCRIPT_NAME", "PATH_INFO", "REMOTE_USER")),
    "secure_headers": (("HTTP_X_FORWARDED_PROTO", "https"), ("HTTP_X_FORWARDED_SSL", "on")),
}


def parse(data: bytes, peer: Any = PROXY, **rules: Any) -> Parser:
    """Return a parser that has read these bytes."""
    parser = Parser(Rules(**{**TRUSTING, **rules}), {"SCRIPT_NAME": ""}, {}, peer, Store())
    parser.feed(data)
    return parser


def get(*lines: bytes, peer: Any = PROXY, path: bytes = b"/app/x", **rules: Any) -> Request:
    """Return the request with these fields."""
    head = b"\r\n".join((b"GET %b HTTP/1.1" % path, b"Host: x", *lines, b"", b""))
    return parse(head, peer, **rules).requests[0]


def status(request: Request) -> int:
    """Return the status of a refusal; 0 of a request that is served."""
    return 0 if request.refusal is None else int(request.refusal.status)


def test_a_proxy_says_where_the_application_is() -> None:
    """SCRIPT_NAME counts from a trusted peer alone, and a path has to lie below it."""
    environ = get(b"SCRIPT_NAME: /app").environ
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("/app", "/x")
    assert get(b"SCRIPT_NAME: /app", peer=STRANGER).environ["SCRIPT_NAME"] == ""
    assert status(get(b"SCRIPT_NAME: /other")) == 400
    assert status(get(b"SCRIPT_NAME: /app", path=b"/application")) == 400
    assert status(get(b"SCRIPT_NAME: /app", b"script_name: /app")) == 400


def test_script_name_with_a_dash_is_the_clients() -> None:
    """A proxy that passes on all fields passes this one on too, so it decides nothing."""
    assert get(b"Script-Name: /app").environ["PATH_INFO"] == "/app/x"
    assert get(b"Script-Name: /x", b"SCRIPT_NAME: /app").environ["SCRIPT_NAME"] == "/app"


@pytest.mark.parametrize(
    ("header_map", "peer", "expected"),
    [
        ("drop", STRANGER, None),
        ("drop", PROXY, "me"),
        ("refuse", PROXY, "me"),
        ("dangerous", STRANGER, "me"),
    ],
)
def test_names_with_an_underscore(header_map: str, peer: Any, expected: str | None) -> None:
    """Such a field is dropped, unless it is one that a trusted proxy may send."""
    request = get(b"REMOTE_USER: me", peer=peer, header_map=header_map)
    assert request.environ.get("HTTP_REMOTE_USER") == expected


def test_names_with_an_underscore_can_be_refused() -> None:
    """With header_map = "refuse" the request ends there."""
    parser = parse(b"GET / HTTP/1.1\r\nHost: x\r\nA_b: c\r\n\r\n", header_map="refuse")
    assert parser.refusal is not None
    assert parser.refusal.status == 400


def test_a_proxy_says_how_it_was_spoken_to() -> None:
    """The scheme is the proxy's word, a stranger's does not count, and two are one too many."""
    said = b"X-Forwarded-Proto: https"
    assert get(said).environ["wsgi.url_scheme"] == "https"
    assert get(b"X-Forwarded-Proto: http").environ["wsgi.url_scheme"] == "http"
    assert get(said, b"X-Forwarded-Ssl: on").environ["wsgi.url_scheme"] == "https"
    assert get(said, peer=STRANGER).environ["wsgi.url_scheme"] == "http"
    assert get(said, peer="").environ["wsgi.url_scheme"] == "https", "a unix socket is the proxy"
    assert get(said, peer=("::ffff:10.0.0.1", 1)).environ["wsgi.url_scheme"] == "https"
    assert status(get(said, b"X-Forwarded-Ssl: off")) == 400


def test_a_head_behind_a_body_has_the_same_limits() -> None:
    """What came before it in the same bytes does not count."""
    body = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n" + b"a" * 60_000
    parser = parse(body + b"GET /2 HTTP/1.1\r\nHos")
    parser.feed(b"t: x\r\n\r\n")
    assert parser.refusal is None
    assert [request.path for request in parser.requests] == ["/", "/2"]
    parser.feed(b"GET / HTTP/1.1\r\nA: ")
    for _ in range(20):
        parser.feed(b"b" * 65536)
    assert parser.refusal is not None
    assert parser.refusal.status == 431


@pytest.mark.parametrize("endless", [b"0\r\nA: ", b"1;"], ids=["trailer", "extension"])
def test_what_is_no_body_ends(endless: bytes) -> None:
    """A large body gives no right to an endless trailer or extension."""
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    parser = parse(head + b"80000\r\n" + b"a" * 0x80000 + b"\r\n" + endless)
    for _ in range(4):
        parser.feed(b"b" * 65536)
    assert parser.refusal is not None
    parser.close()


def test_a_body_in_small_pieces_needs_as_much_memory_as_in_large_ones() -> None:
    """A thousand clients that send two bytes at a time cannot fill the memory."""
    parser = parse(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n")
    tracemalloc.start()
    try:
        for _ in range(100_000):
            parser.feed(b"ab")
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert parser.requests[0].is_complete
    assert held < 500_000
    assert parser.requests[0].body.open().read() == b"ab" * 100_000


def test_files_of_bodies_are_bounded(tmp_path: Any) -> None:
    """Beyond the bytes that all may have together the answer is 503, until one is gone."""
    store = Store(memory=10, folder=str(tmp_path), most=1000)
    parsers = [Parser(Rules(), {"SCRIPT_NAME": ""}, {}, PROXY, store) for _ in range(3)]
    post = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 600\r\n\r\n" + b"a" * 600
    parsers[0].feed(post)
    parsers[1].feed(post)
    assert parsers[0].refusal is None
    assert parsers[1].refusal is not None
    assert parsers[1].refusal.status == 503
    assert b"Retry-After: 1\r\n" in parsers[1].refusal.response()
    parsers[1].close()
    parsers[0].close()
    parsers[2].feed(post)
    assert parsers[2].refusal is None
    parsers[2].close()


def test_a_folder_that_is_gone_refuses_the_body(tmp_path: Any) -> None:
    """The client hears 507, and nothing else is lost."""
    store = Store(memory=10, folder=str(tmp_path / "gone"))
    parser = Parser(Rules(), {"SCRIPT_NAME": ""}, {}, PROXY, store)
    parser.feed(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 60\r\n\r\n" + b"a" * 60)
    assert parser.refusal is not None
    assert parser.refusal.status == 507


def test_bytes_of_another_protocol_are_kept() -> None:
    """What follows a request that asks for an upgrade is no HTTP until it is refused."""
    head = b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: w\r\nConnection: upgrade\r\n\r\n"
    parser = parse(head + b"\x81\x00")
    parser.feed(b"\x82")
    assert parser.rest == b"\x81\x00\x82"
    assert parser.refusal is None
