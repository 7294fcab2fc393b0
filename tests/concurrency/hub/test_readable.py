"""Whether a descriptor can be read without a wait."""

from __future__ import annotations

import socket

from concurrency.hub.readable import is_readable


def test_a_socket_is_readable_when_something_has_arrived_or_the_other_end_is_closed():
    """And not before."""
    here, there = socket.socketpair()
    with here, there:
        assert not is_readable(here.fileno())
        there.send(b"x")
        assert is_readable(here.fileno())
        here.recv(1)
        assert not is_readable(here.fileno())
        there.close()
        assert is_readable(here.fileno())
