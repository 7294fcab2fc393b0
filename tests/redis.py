"""A Redis server on a free port, for the tests that need one."""

from __future__ import annotations

import socket
import subprocess
import tempfile

from tests.helpers import until

__all__ = ["Redis"]


class Redis:
    """Runs for the length of a ``with`` block.

    Attributes:
        port: where it listens, on the loopback.
        url: its address.
    """

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> Redis:
        self._folder = tempfile.TemporaryDirectory(prefix="redis-")
        self._process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--save", "", "--dir", self._folder.name],
            stdout=subprocess.DEVNULL,
        )
        until(self._answers, "Redis has started")
        return self

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
        except OSError:
            return False
        return True

    def __exit__(self, *error: object) -> None:
        self._process.terminate()
        self._process.wait()
        self._folder.cleanup()
