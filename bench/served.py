"""One gunicorn worker with the minimal application, of our class or of gunicorn's own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from bench.server import ROOT

__all__ = ["OURS", "STOCK", "Server", "environment", "probing", "serving"]

STOCK, OURS = "gevent", "concurrency.server.GeventWorker"
_CONFIGURATION = {STOCK: "python:bench", OURS: "python:bench.serving_conf"}


class Server:
    """One worker with the minimal application."""

    def __init__(self, worker: str) -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
            self.port = listener.getsockname()[1]
            with socket.create_server(("127.0.0.1", 0)) as ops:
                self.ops_port = ops.getsockname()[1]
            command = [sys.executable, "-m", "gunicorn", "--worker-class", worker]
            command += ["--config", _CONFIGURATION[worker], "--keep-alive", "30"]
            command += ["--graceful-timeout", "8"]
            command += ["--bind", f"fd://{listener.fileno()}", "--log-level", "critical"]
            self.process = subprocess.Popen(  # noqa: S603 - our own server
                [*command, "bench.minimal:application"],
                cwd=ROOT,
                env={**environment(), "CONCURRENCY_OPS_PORT": str(self.ops_port)},
                pass_fds=[listener.fileno()],
                process_group=0,  # Ctrl-C comes to us alone
            )

    def wait_until_it_answers(self) -> None:
        """Return when it has answered once."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as client:
            client.sendall(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
            client.recv(4096)

    def stop(self) -> float:
        """Send SIGTERM and return how many seconds it took to end."""
        begun = time.monotonic()
        self.process.terminate()
        self.process.wait(60)
        return time.monotonic() - begun


def environment() -> dict[str, str]:
    """Return the environment of a process that has nothing but the minimal application."""
    kept = {key: value for key, value in os.environ.items() if "DJANGO" not in key}
    return {**kept, "DJANGO_SETTINGS_MODULE": "bench.minimal_settings"}


@contextmanager
def serving(worker: str) -> Iterator[Server]:
    """Run a worker of this class for the length of the block."""
    server = Server(worker)
    try:
        server.wait_until_it_answers()
        yield server
    finally:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()


@contextmanager
def probing(port: int) -> Iterator[list[bool]]:
    """Ask whether a server is alive, ten times a second; a second is too long for an answer.

    gunicorn's own worker has no port for that, so it is asked where all others ask.
    """
    good: list[bool] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.wait(0.1):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/alive", timeout=1) as answer:
                    good.append(answer.status == 200)
            except urllib.error.HTTPError as error:
                good.append(error.code == 404)  # gunicorn's own: somebody answers
            except OSError:
                good.append(False)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield good
    finally:
        stop.set()
        asking.join()
