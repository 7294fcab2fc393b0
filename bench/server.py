"""Starts the example under gunicorn on a free port, and stops it.

The port is bound here and handed over, so that nobody else can take it between.
Does not depend on databases: their address comes in the environment.
"""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from email.message import Message
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType
from typing import IO, NamedTuple

__all__ = ["HOST", "ROOT", "Answer", "ServerError", "WebServer"]

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
START_LIMIT = 60  # seconds until a worker has to answer
STOP_LIMIT = 20  # seconds for requests in flight, then it is killed


class ServerError(RuntimeError):
    """The server did not start; the text has the end of its log."""


class Answer(NamedTuple):
    """What a server answered."""

    status: int
    headers: Message
    text: str


class WebServer:
    """The example site under gunicorn, as a context manager.

    Args:
        environment: variables that differ from those of this process, DATABASE_URL
            among them.
        arguments: more arguments for gunicorn, such as ``["--preload"]``.
        workers: the number of worker processes.

    Attributes:
        port: the port that it listens on.
        url: its address, without a slash at the end.
        user: the user of the demonstration.
        password: that user's password.
        process: gunicorn's arbiter.
    """

    def __init__(
        self, environment: Mapping[str, str], *, arguments: Sequence[str] = (), workers: int = 1
    ) -> None:
        self._given = dict(environment)
        self._arguments = list(arguments)
        self._workers = workers
        self.user = self._given.get("DEMO_USER", "demo")
        self.password = self._given.get("DEMO_PASSWORD", secrets.token_urlsafe(12))
        self.port = 0
        self.process: subprocess.Popen[bytes]
        self._log: IO[bytes]
        self._printed = ""

    @property
    def url(self) -> str:
        """The address of the server, without a slash at the end."""
        return f"http://{HOST}:{self.port}"

    def __enter__(self) -> WebServer:
        self.start()
        try:
            self.wait_until_it_answers()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start gunicorn, on the port that it had before if it had one; returns at once."""
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the server
        with socket.create_server((HOST, self.port), backlog=2048) as listener:
            self.port = listener.getsockname()[1]
            command = [
                *(sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py"),
                *("--bind", f"fd://{listener.fileno()}", "--workers", str(self._workers)),
                *self._arguments,
                "wsgi:application",
            ]
            self.process = subprocess.Popen(  # noqa: S603 - our own server
                command,
                cwd=ROOT,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=subprocess.STDOUT,
                pass_fds=(listener.fileno(),),
            )

    def wait_until_it_answers(self) -> None:
        """Return when a worker answers HTTP; it is asked for a page that needs no database.

        Raises:
            ServerError: it ended, or did not answer in time.
        """
        limit = time.monotonic() + START_LIMIT
        while self.process.poll() is None and time.monotonic() < limit:
            try:
                # Nobody is let in without a password, so nothing is done for this.
                self.get("/slow-sql/", limit=2.0)
            except (OSError, HTTPException):
                time.sleep(0.02)
            else:
                return
        raise ServerError(f"gunicorn does not answer on {self.url}. Its log:\n{self.log()}")

    @property
    def authorization(self) -> dict[str, str]:
        """The header that lets a request in."""
        pair = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}

    def get(
        self,
        path: str,
        headers: Mapping[str, str] | None = None,
        *,
        method: str = "GET",
        limit: float = 60.0,
    ) -> Answer:
        """Return the answer to a request for ``path``, sent with ``headers`` and nothing else.

        Args:
            path: path and query string.
            headers: the request's headers.
            method: another method than GET.
            limit: how long the server may be silent, in seconds.

        Raises:
            OSError: there was no answer.
        """
        with contextlib.closing(HTTPConnection(HOST, self.port, timeout=limit)) as connection:
            connection.request(method, path, headers=dict(headers or {}))
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read().decode())

    def stop(self) -> int:
        """Stop gunicorn, let requests in flight end, and return its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_LIMIT)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if not self._log.closed:
            self._printed = self.log(sys.maxsize)
            self._log.close()
        return self.process.returncode

    def log(self, last: int = 4000) -> str:
        """Return the end of what the server has printed, also after it was stopped."""
        if self._log.closed:
            return self._printed[-last:]
        size = os.fstat(self._log.fileno()).st_size
        start = max(0, size - last)
        # Read without moving the position, which the server writes at.
        return os.pread(self._log.fileno(), size - start, start).decode(errors="replace")

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "ENVIRONMENT": "settings.development",
            "DEBUG": "False",
            "SECRET_KEY": "only-for-this-run-" + secrets.token_hex(24),
            "ALLOWED_HOSTS": HOST,
            "PORT": str(self.port),
            "DEMO_BASE_URL": self.url,
            "DEMO_USER": self.user,
            "DEMO_PASSWORD": self.password,
            "WEB_CONCURRENCY": str(self._workers),
            "PYTHONUNBUFFERED": "1",
            "SHED_AFTER": "0",  # who measures wants an answer to each request
            # Many servers start here, one after the other; none of them is probed.
            "CONCURRENCY_NO_OPS": "true",
            **self._given,
        }
