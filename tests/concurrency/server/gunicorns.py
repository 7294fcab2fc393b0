"""A real gunicorn with an application of a few lines, and clients that speak to it in bytes."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import gevent

from tests.concurrency.server.gunicorn_files import APPLICATION, CONFIGURATION, URLS, WORKER

ROOT = Path(__file__).resolve().parents[3]
OURS, STOCK = "of_test.Worker", "gevent"


class Client:
    """One connection to a server."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._buffer = b""

    def send(self, path: str = "/", *headers: str, method: str = "GET", body: bytes = b"") -> None:
        head = "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", *headers])
        self.socket.sendall(f"{head}\r\n\r\n".encode() + body)

    def receive(self) -> tuple[int, str, bytes]:
        """Return status, head and body of the next answer; raise EOFError if there is none."""
        while b"\r\n\r\n" not in self._buffer:
            self._more()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        needed = int(length[1]) if length else 0
        while len(self._buffer) < needed:
            self._more()
        body, self._buffer = self._buffer[:needed], self._buffer[needed:]
        return int(head[9:12]), head.decode("latin-1"), body

    def _more(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise EOFError(f"the server closed the connection after {self._buffer!r}")
        self._buffer += data

    def get(self, path: str = "/", *headers: str) -> tuple[int, str, bytes]:
        self.send(path, *headers)
        return self.receive()

    def is_closed(self) -> bool:
        """Wait for the end of the connection; whether it came without a byte."""
        return self.socket.recv(1) == b""

    def close(self) -> None:
        self.socket.close()


class Gunicorn:
    """A gunicorn and what it printed.

    Args:
        folder: where its files are written.
        arguments: more arguments for gunicorn.
        worker: OURS or STOCK.
        workers: how many.
        variables: more environment, among it OPTIONS_OF_TEST, SETTINGS_OF_TEST and
            WORKER_OF_TEST.
    """

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        worker: str = OURS,
        workers: int = 1,
        **variables: str,
    ) -> None:
        (folder / "app_of_test.py").write_text(APPLICATION)
        (folder / "urls_of_test.py").write_text(URLS)
        (folder / "conf_of_test.py").write_text(CONFIGURATION)
        (folder / "of_test.py").write_text(WORKER)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self.listener.getsockname()[1]
        fd = self.listener.fileno()
        command = [sys.executable, "-m", "gunicorn", "-c", "conf_of_test.py", "-k", worker]
        command += ["-b", f"fd://{fd}", "-w", str(workers), *arguments]
        self.log = folder / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [*command, "app_of_test:application"],
                cwd=folder,
                env={
                    **os.environ,
                    "PYTHONPATH": f"{ROOT}:{folder}",
                    "CONCURRENCY_NO_OPS": "1",
                    **variables,
                },
                pass_fds=[fd],
                stdout=log,
                stderr=log,
            )
        # The server's own, alone: what it closes is closed.
        self.listener.close()
        self.clients: list[Client] = []

    def __enter__(self) -> Gunicorn:
        return self

    def __exit__(self, *error: object) -> None:
        for client in self.clients:
            client.close()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def text(self) -> str:
        return self.log.read_text()

    def wait_for(self, text: str, count: int = 1) -> None:
        with gevent.Timeout(60, TimeoutError(f"{text!r} is not in {self.log.read_text()}")):
            while self.text().count(text) < count:
                gevent.sleep(0.01)

    def connect(self) -> Client:
        self.clients.append(Client(self.port))
        return self.clients[-1]

    def get(self, path: str = "/", *headers: str) -> tuple[int, str, bytes]:
        """Answer to one request on a connection of its own."""
        with contextlib.closing(Client(self.port)) as client:
            return client.get(path, *headers)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def terminate(self) -> int:
        """Send SIGTERM and return the exit code."""
        self.signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


@contextlib.contextmanager
def every(*clients: Client) -> Iterator[None]:
    """Close clients at the end of the block."""
    try:
        yield
    finally:
        for client in clients:
            client.close()
