"""``Expect: 100-continue``: who is asked for a body, and who is not."""

from __future__ import annotations

import socket

import pytest

pytestmark = pytest.mark.slow

_HEAD = "Expect: 100-continue"


def _receive(client: socket.socket, until: bytes) -> bytes:
    found = b""
    while until not in found and (data := client.recv(65536)):
        found += data
    return found


def test_a_client_is_asked_for_its_body_when_the_view_reads_it(start):
    """One 100, then the answer, and the connection goes on."""
    client = start("--keep-alive", "30").connect()
    client.send("/take/", _HEAD, "Content-Length: 5", method="POST")
    assert _receive(client.socket, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.socket.sendall(b"hello")
    assert client.receive()[::2] == (200, b"5")
    assert client.get()[0] == 200


def test_a_view_that_does_not_read_asks_for_nothing(start):
    """Its answer comes at once, and ends the connection: a body may follow, or not."""
    client = start("--keep-alive", "30").connect()
    client.send("/", _HEAD, "Content-Length: 5000000", method="POST")
    assert client.receive()[0] == 200
    assert client.is_closed()


def test_a_body_that_is_too_large_is_not_asked_for(start):
    """413 goes out without a 100."""
    client = start("--keep-alive", "30", CONCURRENCY_MAX_BODY_SIZE="1000").connect()
    client.send("/take/", _HEAD, "Content-Length: 1001", method="POST")
    assert client.receive()[0] == 413


def test_half_of_an_expected_body_is_an_error(start):
    """The view that reads it gets what it gets for any body that is cut off."""
    client = start("--keep-alive", "30").connect()
    client.send("/take/", _HEAD, "Content-Length: 5", method="POST")
    _receive(client.socket, b"\r\n\r\n")
    client.socket.sendall(b"he")
    client.socket.shutdown(socket.SHUT_WR)
    assert client.receive()[0] == 400


def test_chunks_are_asked_for_before_the_view(start):
    """Their length is not known before they are there."""
    client = start("--keep-alive", "30").connect()
    client.send("/take/", _HEAD, "Transfer-Encoding: chunked", method="POST")
    assert _receive(client.socket, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.socket.sendall(b"5\r\nhello\r\n0\r\n\r\n")
    assert client.receive()[::2] == (200, b"5")
