"""What a server logs of its clients, as its standard error has it."""

from __future__ import annotations

import socket
from contextlib import suppress

import pytest

from tests.concurrency.server.gunicorns import OURS, STOCK

pytestmark = pytest.mark.slow

HOST = b"Host: x\r\n"
REQUESTS = {
    "path": b"GET /\x1b[31mpath HTTP/1.1\r\n" + HOST,
    "query": b"GET /exits/itself/KeyboardInterrupt/?\x1b[31mquery\x9b HTTP/1.1\r\n" + HOST,
    "Latin-1 in the query": b"GET /exits/itself/KeyboardInterrupt/?\x9bquery HTTP/1.1\r\n" + HOST,
    "Latin-1 in a path": b"GET /\x9bpath HTTP/1.1\r\n" + HOST,
    "quoted path": b"GET /%0aforged%0d%1b[31m HTTP/1.1\r\n" + HOST,
    "CR in the path": b"GET /\rforged HTTP/1.1\r\n" + HOST,
    "LF in the path": b"GET /\nforged HTTP/1.1\r\n" + HOST,
    "method": b"G\x1b[31mET / HTTP/1.1\r\n" + HOST,
    "version": b"GET / HTTP/\x1b[31m\r\n" + HOST,
    "host": b"GET / HTTP/1.1\r\nHost: x\x1b[31m\r\n",
    "CR in the host": b"GET / HTTP/1.1\r\nHost: x\rforged\r\n",
    "header": b"GET / HTTP/1.1\r\nUser-Agent: \x9b31magent\r\n" + HOST,
    "ESC in a header": b"GET / HTTP/1.1\r\nUser-Agent: \x1b[31m\r\n" + HOST,
    "CR in a header": b"GET / HTTP/1.1\r\nReferer: a\rforged\r\n" + HOST,
    "LF in a header": b"GET / HTTP/1.1\r\nReferer: a\nforged\r\n" + HOST,
    "header's name": b"GET / HTTP/1.1\r\nA\x1b[31m: b\r\n" + HOST,
}


@pytest.mark.parametrize("worker", [OURS, STOCK])
def test_no_request_can_forge_a_line_or_command_a_terminal(start, worker):
    """Whatever a client sends is escaped in the access log and in gunicorn's error log."""
    server = start("--access-logfile", "-", "--log-level", "debug", worker=worker)
    for request in REQUESTS.values():
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
            client.sendall(request + b"Connection: close\r\n\r\n")
            # A server that refuses may end the connection before it has read all.
            with suppress(ConnectionResetError):
                while client.recv(65536):
                    pass
    assert server.get("/?last")[0] == 200
    server.wait_for("/?last")
    log = server.log.read_bytes().decode("latin-1")
    assert not {"\x1b", "\x9b", "\r"} & set(log)
    assert not [line for line in log.split("\n") if line.startswith("forged")]
    assert "agent" in log
