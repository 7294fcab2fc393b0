"""Where a request ends: what two servers could read differently is refused."""

from __future__ import annotations

import socket

import pytest

from tests.concurrency.server.gunicorns import every

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\nX: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 9000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: a\r\n" * 200 + b"\r\n",
    ],
    ids=[
        "length and chunked",
        "two lengths",
        "chunked not last",
        "folded",
        "space",
        "control",
        "bare LF",
        "two hosts",
        "huge",
        "many",
    ],
)
def test_a_request_that_two_servers_could_read_differently_is_rejected(shared, request_bytes):
    """It is answered 4xx, its connection ends, and others notice nothing."""
    other = shared.connect()
    other.get()
    client = shared.connect()
    with every(client, other):
        client.socket.sendall(request_bytes + b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b"".join(iter(lambda: _read(client.socket), b""))
        assert answer.startswith(b"HTTP/1.1 4")
        assert answer.count(b"HTTP/1.1") == 1
        assert other.get()[0] == 200


def test_nothing_is_answered_that_follows_broken_chunks(shared):
    """A body that is broken is refused, and that is the last answer on the connection."""
    client = shared.connect()
    with every(client):
        client.send("/", "Transfer-Encoding: chunked", method="POST", body=b"zz\r\nhello\r\n")
        client.send("/smuggled")
        answer = b"".join(iter(lambda: _read(client.socket), b""))
    assert answer.startswith(b"HTTP/1.1 400")
    assert answer.count(b"HTTP/1.1") == 1


def test_after_chunks_that_nobody_read_comes_the_next_request(shared):
    """A body in chunks that is whole ends where it ends."""
    client = shared.connect()
    with every(client):
        chunks = b"5\r\nhello\r\n0\r\n\r\n"
        client.send("/", "Transfer-Encoding: chunked", method="POST", body=chunks)
        client.send("/take/", "Content-Length: 2", method="POST", body=b"on")
        assert client.receive()[0] == 200
        assert client.receive()[2] == b"2"


def _read(client: socket.socket) -> bytes:
    try:
        return client.recv(65536)
    except ConnectionResetError:
        return b""
