"""Real servers for tests: the example under gunicorn, and a server that misbehaves.

Each listens on a free port and is stopped at the end of its ``with`` block.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg

from bench.database import named
from bench.server import Answer, ServerError, WebServer
from tests.helpers import until

__all__ = [
    "Answer",
    "ServerError",
    "Sessions",
    "WebServer",
    "impostor",
    "named",
    "serve",
    "trap",
    "until",
]


def serve(environment: Mapping[str, str], *arguments: str) -> WebServer:
    """Return an example that does not wait long for idle connections when it is stopped."""
    return WebServer(environment, arguments=["--keep-alive", "1", *arguments])


class Sessions:
    """The sessions of one application name, as the database server sees them.

    Args:
        postgres_url: the address of the database.
        name: the application name.
    """

    def __init__(self, postgres_url: str, name: str) -> None:
        self._connection = psycopg.connect(postgres_url, autocommit=True)
        self._name = name

    def __enter__(self) -> Sessions:
        return self

    def __exit__(self, *error: object) -> None:
        self.terminate(len(self.active()))
        self._connection.close()

    def active(self) -> list[int]:
        """Return the process ids of those that execute a statement."""
        rows = self._connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = %s AND state = 'active'",
            [self._name],
        )
        return [pid for (pid,) in rows]

    def terminate(self, count: int) -> None:
        """End the sessions of this many of those that execute a statement."""
        for pid in self.active()[:count]:
            self._connection.execute("SELECT pg_terminate_backend(%s)", [pid])


@contextmanager
def impostor(answers: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """Run an HTTP server that leaves each GET to ``answers``, and give its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            answers(self)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
            """Say nothing: the test says what matters."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 128  # a client that finds no room tries again after a second

    with Server(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def trap() -> Iterator[tuple[str, Callable[[], bool]]]:
    """Listen on a port where nobody should come; give its address and what tells if one came."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)

        def somebody_came() -> bool:
            try:
                listener.accept()[0].close()
            except BlockingIOError:
                return False
            return True

        yield f"127.0.0.1:{listener.getsockname()[1]}", somebody_came
