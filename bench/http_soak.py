"""Mixed traffic through HTTP for ten minutes, every answer checked: `python -m bench.http_soak`.

One worker of our class with a database. Clients keep their connections, send bodies with and
without a length, send several requests at once, read streams, leave in the middle of a head, a
body or a stream, and send what is no HTTP. Exits non-zero when an answer is wrong, or the
worker's memory or its descriptors grow.
"""

from __future__ import annotations

import concurrency.patch  # isort: skip  # noqa: F401

import argparse
import contextlib
import hashlib
import http.client
import os
import random
import re
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import gevent
import psutil

from bench import command
from bench.database import database
from bench.report import table
from bench.server import ROOT
from bench.soak.report import DESCRIPTORS_ALLOWED, MEGABYTES_ALLOWED, Samples

__all__ = ["main"]

_PATIENCE = 60.0  # seconds for one answer: more is an error
_LENGTH = re.compile(rb"(?i)content-length: (\d+)")
_LARGEST = 300_000  # bytes of a body
_CLIENTS = 8  # of each kind
_GARBAGE = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET /square/2/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"POST /digest/ HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    b"POST /digest/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
)
_POST = b"POST /digest/ HTTP/1.1\r\nHost: a\r\n"
_BEGUN = (
    b"GET /square/3/ HTTP/1.1\r\nHos",
    _POST + b"Content-Length: 99999\r\n\r\nabc",
    _POST + b"Transfer-Encoding: chunked\r\n\r\n9\r\nab",
    b"GET /stream/300000/ HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /square/3/ HTTP/1.1\r\nHost: a\r\n\r\n",
)


class Wrong(Exception):
    """An answer was not the one that was asked for."""


class Traffic:
    """The clients, and what came of their requests.

    Args:
        port: of the server.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self.good: Counter[str] = Counter()
        self.bad: Counter[str] = Counter()
        self.until = 0.0

    def run(self, seconds: float) -> list[gevent.Greenlet[..., None]]:
        """Start the clients, which end after this time."""
        self.until = time.monotonic() + seconds
        kinds: tuple[Callable[[], int], ...] = (
            self.keep,
            self.post,
            self.chunked,
            self.pipeline,
            self.read_stream,
            self.leave,
            self.send_garbage,
        )
        return [gevent.spawn(self._repeat, kind) for kind in kinds for _ in range(_CLIENTS)]

    def _repeat(self, kind: Callable[[], int]) -> None:
        name = kind.__name__.replace("_", " ")
        while time.monotonic() < self.until:
            try:
                with gevent.Timeout(_PATIENCE, TimeoutError(f"no answer in {_PATIENCE:g} s")):
                    self.good[name] += kind()
            except (Wrong, OSError, http.client.HTTPException) as error:
                self.bad[f"{name}: {type(error).__name__}: {error}"[:120]] += 1

    @contextmanager
    def _client(self) -> Iterator[http.client.HTTPConnection]:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self._port)) as client:
            yield client

    @contextmanager
    def _socket(self) -> Iterator[socket.socket]:
        with socket.create_connection(("127.0.0.1", self._port)) as sock:
            yield sock

    # The kinds of clients; each returns how many good answers it got

    def keep(self) -> int:
        """Ask several times on one connection."""
        with self._client() as client:
            for _ in range(20):
                number = random.randrange(10_000)  # noqa: S311 - no secret
                client.request("GET", f"/square/{number}/")
                _expect(client.getresponse(), str(number * number).encode())
        return 20

    def post(self) -> int:
        """Send a body with its length."""
        body = random.randbytes(random.randrange(_LARGEST))  # noqa: S311
        with self._client() as client:
            client.request("POST", "/digest/", body)
            _expect(client.getresponse(), _digest(body))
        return 1

    def chunked(self) -> int:
        """Send a body in pieces, without its length."""
        pieces = [random.randbytes(random.randrange(1, 9000)) for _ in range(20)]  # noqa: S311
        with self._client() as client:
            client.request("POST", "/digest/", iter(pieces), encode_chunked=True)
            _expect(client.getresponse(), _digest(b"".join(pieces)))
        return 1

    def pipeline(self) -> int:
        """Send several requests at once, and read the answers in their order."""
        numbers = [random.randrange(10_000) for _ in range(5)]  # noqa: S311
        with self._socket() as sock:
            asked = "GET /square/{}/ HTTP/1.1\r\nHost: localhost\r\n\r\n"
            sock.sendall("".join(asked.format(number) for number in numbers).encode())
            with sock.makefile("rb") as answers:
                for number in numbers:
                    head = b""
                    while not head.endswith(b"\r\n\r\n"):
                        head += answers.readline() or b"\r\n\r\n"
                    found = _LENGTH.search(head)
                    if found is None or answers.read(int(found[1])) != b"%d" % number**2:
                        raise Wrong(f"{head[:15]!r}")
        return len(numbers)

    def read_stream(self) -> int:
        """Read a stream to its end."""
        lines = random.randrange(1, 400)  # noqa: S311
        with self._client() as client:
            client.request("GET", f"/stream/{lines}/")
            wanted = "".join(f"{number:063}\n" for number in range(lines))
            _expect(client.getresponse(), wanted.encode())
        return 1

    def leave(self) -> int:
        """Leave in the middle: of a head, of a body, of a stream, or while the answer is made."""
        with self._socket() as sock:
            sock.sendall(random.choice(_BEGUN))  # noqa: S311
            gevent.sleep(random.random() * 0.05)  # noqa: S311
        return 1

    def send_garbage(self) -> int:
        """Send what is no HTTP, and be refused."""
        with self._socket() as sock:
            sock.sendall(random.choice(_GARBAGE))  # noqa: S311
            sock.shutdown(socket.SHUT_WR)
            answer = b""
            with contextlib.suppress(ConnectionError):
                while data := sock.recv(65536):
                    answer += data
        if answer and not answer.startswith(b"HTTP/1.1 400 "):
            raise Wrong(f"{answer[:60]!r}")
        return 1


def _digest(body: bytes) -> bytes:
    return f"{len(body)} {hashlib.sha256(body).hexdigest()}".encode()


def _expect(answer: http.client.HTTPResponse, wanted: bytes) -> None:
    body = answer.read()
    if answer.status != 200 or body != wanted:
        raise Wrong(f"{answer.status} {body[:40]!r}" if answer.status != 200 else "another answer")


@contextmanager
def _served(url: str) -> Iterator[tuple[int, psutil.Process]]:
    """Run a server; give its port and its worker."""
    kept = {key: value for key, value in os.environ.items() if "DJANGO" not in key}
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        port = listener.getsockname()[1]
        server = subprocess.Popen(  # noqa: S603 - our own server
            [sys.executable, "-m", "gunicorn", "--config", "python:bench.serving_conf"]
            + ["--worker-class", "concurrency.server.GeventWorker", "--log-level", "critical"]
            + ["--bind", f"fd://{listener.fileno()}", "bench.http_soak_site:application"],
            cwd=ROOT,
            env={**kept, "DATABASE_URL": url, "CONCURRENCY_OPS_PORT": "0"},
            pass_fds=[listener.fileno()],
            process_group=0,  # Ctrl-C comes to us alone
        )
    try:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        client.request("GET", "/square/4/")
        _expect(client.getresponse(), b"16")
        client.close()
        workers = psutil.Process(server.pid).children()
        yield port, max(workers, key=lambda process: process.cpu_times().user)
    finally:
        server.terminate()
        server.wait(60)


def main(arguments: list[str] | None = None) -> int:
    """Run the traffic, and print what was seen."""
    parser = argparse.ArgumentParser(prog="python -m bench.http_soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="how long")
    options = parser.parse_args(arguments)
    samples = Samples()
    with database() as url, _served(url) as (port, worker):
        traffic = Traffic(port)
        clients = traffic.run(options.seconds)
        while not all(client.dead for client in clients):
            gevent.sleep(min(1.0, options.seconds / 40))
            samples.look(worker, None)
        gevent.joinall(clients, raise_error=True)
    megabytes, descriptors = samples.growth()
    rows = [(name, str(number), "") for name, number in sorted(traffic.good.items())]
    rows += [(text, "", str(number)) for text, number in sorted(traffic.bad.items())]
    rows += [
        ("memory of the worker, MB", f"{samples.megabytes[-1]:.1f}", f"{megabytes:+.1f}"),
        ("its descriptors", str(samples.descriptors[-1]), f"{descriptors:+.0f}"),
    ]
    print(table((f"{options.seconds:g} s of HTTP", "good", "wrong or growth"), rows))  # noqa: T201
    is_flat = megabytes <= MEGABYTES_ALLOWED and descriptors <= DESCRIPTORS_ALLOWED
    is_whole = len(traffic.good) == len(clients) // _CLIENTS
    return 0 if is_flat and is_whole and not traffic.bad else 1


if __name__ == "__main__":
    command.run(main)
