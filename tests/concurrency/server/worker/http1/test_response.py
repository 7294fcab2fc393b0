"""Responses: how they are framed, and what an application must not send."""

from __future__ import annotations

import re
from typing import Any

import pytest

from concurrency.server.worker.http1.request import Request
from concurrency.server.worker.http1.response import Response


class Made(Response):
    """A response whose bytes are kept."""

    __slots__ = ("data",)

    def __init__(self, method: str = "GET", version: tuple[int, int] = (1, 1)) -> None:
        request = Request({}, [])
        request.method, request.version = method, version
        self.data: list[bytes] = []
        super().__init__(request, self.data.append)

    def says(self) -> bytes:
        """Return all bytes, without those fields that are always there."""
        return re.sub(rb"(Server|Date): [^\r]*\r\n", b"", b"".join(self.data))


def answer(
    code: str, fields: list[Any], body: list[bytes], method: str = "GET", version: Any = (1, 1)
) -> Made:
    """Return the response of an application that streams."""
    made = Made(method, version)
    made.start_response(code, fields)
    for piece in body:
        made.write(piece)
    made.finish()
    return made


def test_a_stream_is_sent_in_chunks_at_once() -> None:
    """Each piece leaves when it is made, the first with the head."""
    made = Made()
    made.start_response("200 OK", [])
    made.write(b"abc")
    assert made.data[0].endswith(b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    made.write(b"")
    assert len(made.data) == 1
    made.finish()
    assert made.data[1] == b"0\r\n\r\n"
    assert not made.should_close()


def test_a_stream_on_an_old_version_ends_with_the_connection() -> None:
    """HTTP/1.0 has no chunks."""
    made = answer("200 OK", [], [b"abc"], version=(1, 0))
    assert made.says() == b"HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nabc"
    assert made.should_close()


@pytest.mark.parametrize(
    ("code", "method", "kept"),
    [("200 OK", "HEAD", True), ("204 No Content", "GET", False), ("304 Not Modified", "GET", True)],
)
def test_responses_without_a_body(code: str, method: str, kept: bool) -> None:
    """Nothing follows the head, whatever the application makes; the connection stays."""
    made = answer(code, [("Content-Length", "3")], [b"abc"], method)
    assert made.says().endswith(b"\r\n\r\n")
    assert (b"Content-Length: 3" in made.says()) is kept
    assert (made.should_close(), made.is_short, made.sent) == (False, False, 0)
    whole = Made(method)
    whole.start_response(code, [])
    whole.whole(b"abc", sized=True)
    assert whole.says().endswith(b"\r\n\r\n")
    assert b"chunked" not in whole.says()


def test_an_interim_status_ends_the_connection() -> None:
    """A client still waits for the final response, which does not come."""
    assert answer("100 Continue", [], []).should_close()


def test_a_response_is_no_longer_than_it_says() -> None:
    """What is too much would be the next response; what is too little ends the connection."""
    long = answer("200 OK", [("Content-Length", "3")], [b"ab", b"cdef", b"g"])
    assert long.says().endswith(b"\r\n\r\nabc")
    assert not long.should_close()
    short = answer("200 OK", [("Content-Length", "3")], [b"ab"])
    assert (short.is_short, short.should_close()) == (True, True)


@pytest.mark.parametrize(
    "fields",
    [
        [("Content-Length", "-1")],
        [("Content-Length", "1_0")],
        [("Content-Length", "\xb2")],
        [("Content-Length", "1"), ("content-length", "2")],
        [("X", "a\r\nb: c")],
        [("X", "a\0")],
        [("X y", "a")],
        [("", "a")],
    ],
)
def test_fields_that_would_split_a_response_are_errors(fields: list[tuple[str, str]]) -> None:
    """The application's mistake is its error, and reaches no client."""
    made = Made()
    with pytest.raises(Exception, match=r".") as caught:
        made.start_response("200 OK", fields)
    assert "a\r\nb" not in str(caught.value)
    assert made.data == []


def test_a_length_that_is_said_twice_is_sent_once() -> None:
    """Two of them, though equal, make some proxies refuse the response."""
    made = answer("200 OK", [("Content-Length", "1"), ("Content-Length", "1")], [b"a"])
    assert made.says().count(b"Content-Length") == 1


def test_fields_about_the_connection_are_the_servers() -> None:
    """An application may only ask for its end."""
    fields = [("Transfer-Encoding", "gzip"), ("Keep-Alive", "9"), ("Connection", "close")]
    made = answer("200 OK", [*fields, ("Content-Length", "1")], [b"a"])
    assert made.says() == b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\na"
    assert made.should_close()


def test_a_status_may_be_replaced_until_it_is_sent() -> None:
    """By an error; afterwards the error is raised, and twice without one is a mistake."""
    made = Made()
    made.start_response("204 No Content", [])
    with pytest.raises(AssertionError):
        made.start_response("200 OK", [])
    try:
        raise LookupError
    except LookupError as error:
        info = (LookupError, error, error.__traceback__)
    made.start_response("500 Sorry", [], info)
    made.write(b"a")
    assert b"chunked" in made.says()
    with pytest.raises(LookupError):
        made.start_response("500 Sorry", [], info)


def test_early_hints_come_before_the_response() -> None:
    """As an interim response, not on HTTP/1.0, and not afterwards."""
    made = Made()
    made.early_hints([("Link", "</a.css>; rel=preload")])
    assert made.says() == b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
    with pytest.raises(Exception, match="Link"):
        made.early_hints([("Link", "a\r\nb: c")])
    old = Made(version=(1, 0))
    old.early_hints([("Link", "a")])
    assert old.data == []
