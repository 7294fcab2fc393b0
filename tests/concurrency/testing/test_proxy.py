"""The proxy does to a connection what it is told, and nothing else."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from gevent.server import StreamServer

from concurrency.testing import TCPProxy

SOON = 0.02  # seconds in which something does not happen


def echo(client: socket.socket, address: object) -> None:
    """Send back what comes, and say goodbye at its end."""
    while data := client.recv(100):
        client.sendall(data)
    client.sendall(b"bye")


@pytest.fixture
def proxy() -> Iterator[TCPProxy]:
    """A proxy before a server that echoes."""
    server = StreamServer(("127.0.0.1", 0), echo)
    server.start()
    with TCPProxy("127.0.0.1", server.server_port) as made:
        yield made
    server.stop(timeout=1)


@pytest.fixture
def client(proxy: TCPProxy) -> Iterator[socket.socket]:
    """A connection through it that has been used."""
    with connect(proxy) as made:
        assert ask(made) == b"x"
        yield made


def connect(proxy: TCPProxy) -> socket.socket:
    return socket.create_connection((proxy.host, proxy.port), timeout=5)


def ask(client: socket.socket) -> bytes:
    client.sendall(b"x")
    return client.recv(1)


def assert_silent(client: socket.socket) -> None:
    """Nothing comes, and nothing ends."""
    client.settimeout(SOON)
    with pytest.raises(TimeoutError):
        client.recv(1)
    client.settimeout(5)


def test_it_passes_on_both_ways_and_counts(proxy, client):
    """Also when one direction has ended."""
    client.shutdown(socket.SHUT_WR)
    assert client.recv(100) == b"bye"
    assert client.recv(100) == b""
    assert (proxy.accepted, proxy.most_connections, proxy.received) == (1, 1, 4)


def test_connections_can_be_slow_to_come(proxy):
    """They are accepted at once, and reach the server later."""
    proxy.connect_delay = 3 * SOON
    with connect(proxy) as client:
        client.sendall(b"x")
        assert_silent(client)
        assert (proxy.accepted, proxy.connections) == (1, 0)
        assert client.recv(1) == b"x"


def test_it_can_be_slow(proxy, client):
    """Whatever is sent arrives, later."""
    proxy.delay = 2 * SOON
    client.sendall(b"x")
    assert_silent(client)
    assert client.recv(1) == b"x"


def test_it_can_be_deaf_for_a_while(proxy, client):
    """What is sent meanwhile arrives afterwards."""
    proxy.deafen()
    client.sendall(b"x")
    assert_silent(client)
    proxy.hear()
    assert client.recv(1) == b"x"


def test_who_connects_to_a_deaf_one_waits(proxy):
    """As for a server that does not answer."""
    proxy.deafen()
    with connect(proxy) as client:
        client.sendall(b"x")
        assert_silent(client)
        proxy.hear()
        assert client.recv(1) == b"x"


def test_connections_can_be_cut(proxy, client):
    """Those that are open are reset, new ones are passed on."""
    proxy.cut()
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    with connect(proxy) as other:
        assert ask(other) == b"x"


def test_new_connections_can_be_refused(proxy, client):
    """Those that are open go on."""
    proxy.refuse()
    with pytest.raises(ConnectionResetError), connect(proxy) as other:
        ask(other)
    assert ask(client) == b"x"
    assert (proxy.accepted, proxy.refused) == (2, 1)
    proxy.admit()
    with connect(proxy) as other:
        assert ask(other) == b"x"


def test_a_server_that_is_not_there_ends_the_connection(proxy):
    """As a proxy does that finds nobody."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with TCPProxy("127.0.0.1", port) as other, connect(other) as client:
        assert client.recv(1) == b""
