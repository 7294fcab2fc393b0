"""Clients that ask one address again and again, each on its own connection.

``python -m bench.aio_client PORT PATH CLIENTS SECONDS`` prints the answers a second. It
does less than any server, so that it is not what is measured.
"""

from __future__ import annotations

import selectors
import socket
import sys
from time import perf_counter

__all__ = ["answers_per_second"]

WARM_UP = 1.0  # seconds


def answers_per_second(port: int, path: str, clients: int, seconds: float) -> float:
    """Ask for some seconds, after a second that does not count.

    Raises:
        RuntimeError: an answer is not 200.
    """
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: keep-alive\r\n\r\n".encode()
    selector = selectors.DefaultSelector()
    received: dict[int, bytes] = {}
    for _ in range(clients):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(connection, selectors.EVENT_READ, connection)
        received[connection.fileno()] = b""
        connection.sendall(request)
    begin = perf_counter() + WARM_UP
    end = begin + seconds
    answers = 0
    while (now := perf_counter()) < end:
        for key, _ in selector.select(0.1):
            got = received[key.fd] = received[key.fd] + key.data.recv(65536)
            if is_whole(got):
                if not got.startswith(b"HTTP/1.1 200"):
                    raise RuntimeError(got.decode(errors="replace")[:2000])
                received[key.fd] = b""
                answers += now >= begin
                key.data.sendall(request)
    return answers / seconds


def is_whole(answer: bytes) -> bool:
    """Return whether an answer with a Content-Length is complete."""
    head, separator, body = answer.partition(b"\r\n\r\n")
    if not separator:
        return False
    length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
    return len(body) >= int(length)


if __name__ == "__main__":
    port, path, clients, seconds = sys.argv[1:]
    print(answers_per_second(int(port), path, int(clients), float(seconds)))  # noqa: T201
