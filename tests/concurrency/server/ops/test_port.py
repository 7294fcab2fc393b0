"""The HTTP server of the ops port alone: how many connections it holds, and which go first."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from concurrency.server.ops import port


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, threading.Event]]:
    """A server with a page that waits for an event; no limit of time ends its connections."""
    monkeypatch.setattr(port, "_LIMIT", 600.0)
    monkeypatch.setattr(port, "_HEAD_LIMIT", 600.0)
    opened = threading.Event()

    def page(accept: str) -> tuple[int, str, bytes]:
        opened.wait()
        return 200, "text/plain", b"opened"

    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        server = port.Server(listener, {"/": page}, (), log=False)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield listener.getsockname()[1], opened
        finally:
            opened.set()
            server.shutdown()
            thread.join()


def test_the_oldest_connection_makes_way(gate: tuple[int, threading.Event]) -> None:
    """Thirty-two are held; those that came first end, and those that came last are answered."""
    number, opened = gate
    with contextlib.ExitStack() as stack:
        clients = []
        for _ in range(40):
            client = socket.create_connection(("127.0.0.1", number), timeout=60)
            clients.append(stack.enter_context(client))
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        for client in clients[:8]:
            with contextlib.suppress(ConnectionResetError):
                assert client.recv(1) == b""
        opened.set()
        for client in clients[8:]:
            with client.makefile("rb") as answer:
                assert answer.read().endswith(b"\r\n\r\nopened")
