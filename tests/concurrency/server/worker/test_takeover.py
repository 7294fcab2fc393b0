"""Sockets that leave HTTP: an application that takes them over is left alone."""

from __future__ import annotations

import socket

import pytest

from concurrency.server.worker.takeover import Handle
from tests.concurrency.server.gunicorns import OURS, STOCK

pytestmark = pytest.mark.slow

# A limit of half a second for everything, and one request at a time.
LIMITS = "{'REQUEST_DEADLINE': 0.5, 'MAX_IN_FLIGHT': 1}"


@pytest.mark.parametrize("worker", [OURS, STOCK], ids=["ours", "stock"])
def test_a_socket_that_the_application_takes_over_has_no_limits(start, worker):
    """Its client may be silent for longer than all limits, and takes nobody's place."""
    server = start("--keep-alive", "30", worker=worker, OPTIONS_OF_TEST=LIMITS)
    taken = server.connect()
    taken.send("/taken/", "Upgrade: anything", "Connection: Upgrade")
    assert taken.socket.recv(100) == b"yours\n"
    for _ in range(2):
        # Longer than the limits, by requests that run into them.
        assert server.get("/sleep/5/")[0] == 504
    taken.socket.sendall(b"still here\n")
    assert taken.socket.recv(100) == b"got still here\n"
    assert taken.is_closed()  # and nothing of what the view returned was sent
    assert "Traceback" not in server.text()


@pytest.mark.parametrize("worker", [OURS, STOCK], ids=["ours", "stock"])
def test_a_socket_that_is_only_asked_is_not_taken_over(start, worker):
    """As for the address of the other end: the answer is sent."""
    server = start(worker=worker)
    status, _, body = server.get("/peer/")
    assert (status, body) == (200, b"127.0.0.1")


def test_a_handle_tells_once_and_is_a_socket():
    """What uses the connection takes it over; what asks about it does not."""
    ours, theirs = socket.socketpair()
    with theirs, Handle(ours) as handle:
        told = []
        handle.on_take(lambda: told.append(1))
        ours.settimeout(1.0)
        assert handle.fileno() == ours.fileno()
        assert handle.gettimeout() == 1.0
        assert not handle.is_taken
        handle.sendall(b"x")
        handle.send(b"y")
        assert (handle.is_taken, told, ours.gettimeout()) == (True, [1], None)
        assert theirs.recv(2) == b"xy"
