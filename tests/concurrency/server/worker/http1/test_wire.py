"""The table of vectors on a real socket, and behind nginx."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from deploy.cluster import free_port
from tests.concurrency.server.worker.http1.test_parser import outcomes as parsed
from tests.concurrency.server.worker.http1.test_parser import streams
from tests.concurrency.server.worker.http1.vectors import SMUGGLED, VECTORS, Vector
from tests.servers import until

ROOT = Path(__file__).resolve().parents[5]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

_SMUGGLED = b"<GET /smuggled "
_OWN = b"GET /own HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


class Echo:
    """A gunicorn with one worker of ours and the application that says what it got."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "log"
        with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
            self.port = listener.getsockname()[1]
            command = [sys.executable, "-m", "gunicorn", "-w", "1", "--keep-alive", "2"]
            command += ["-k", "concurrency.server.GeventWorker", "--no-control-socket"]
            command += ["-b", f"fd://{listener.fileno()}"]
            with self.log.open("w") as log:
                self.process = subprocess.Popen(
                    [*command, "tests.concurrency.server.worker.http1.echo"],
                    cwd=ROOT,
                    env={**os.environ, "CONCURRENCY_MAX_BODY_SIZE": "1000000"},
                    pass_fds=[listener.fileno()],
                    stdout=log,
                    stderr=log,
                )

    def __enter__(self) -> Echo:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.terminate()
        self.process.wait(timeout=60)


def say(port: int, data: bytes, *, ends: bool, patience: float = 30.0) -> bytes:
    """Send bytes, and return all that comes back.

    Args:
        port: of the server.
        data: what is sent.
        ends: whether the end is sent too.
        patience: seconds without a byte after which nothing more is expected.
    """
    found = b""
    with socket.create_connection(("127.0.0.1", port), timeout=patience) as client:
        with contextlib.suppress(ConnectionError):  # it may have heard enough
            client.sendall(data)
            if ends:
                client.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionError, TimeoutError):
            while piece := client.recv(65536):
                found += piece
    return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Echo]:
    """One server for all vectors."""
    with Echo(tmp_path_factory.mktemp("echo")) as echo:
        yield echo


def outcomes(answer: bytes) -> tuple[bytes | int, ...]:
    """Return what a server has made of a connection, from its answers."""
    found = re.findall(rb"HTTP/1\.[01] (\d{3}) |<(\w+ \S* [^>]*)>", answer)
    return tuple(echoed or int(status) for status, echoed in found if echoed or status != b"200")


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)
def test_vectors_on_the_wire(server: Echo, vector: Vector) -> None:
    """Each request is served or refused as the table says, and nothing follows a refusal."""
    # Django has no URL that is no path.
    expected = (404,) if vector.name == "asterisk form" else vector.outcomes
    assert outcomes(say(server.port, vector.data, ends=True)) == expected
    assert server.process.poll() is None


def test_no_vector_reaches_the_application_as_two_requests_behind_nginx(
    server: Echo, tmp_path: Path
) -> None:
    """What a client hides in a body stays one, whoever of the two reads it first."""
    port = free_port()
    user = "user root;" if os.getuid() == 0 else ""
    (tmp_path / "nginx.conf").write_text(
        f"""{user} pid {tmp_path}/pid; error_log {tmp_path}/error; events {{}}
        http {{
          access_log off; client_body_temp_path {tmp_path}/body; proxy_temp_path {tmp_path}/proxy;
          fastcgi_temp_path {tmp_path}/f; uwsgi_temp_path {tmp_path}/u; scgi_temp_path {tmp_path}/s;
          upstream ours {{ server 127.0.0.1:{server.port}; keepalive 4; }}
          server {{
            listen 127.0.0.1:{port};
            location / {{
              proxy_pass http://ours; proxy_http_version 1.1; proxy_set_header Connection "";
              proxy_set_header Host $host; proxy_request_buffering off;
            }}
          }}
        }}"""
    )
    with subprocess.Popen(
        ["nginx", "-p", tmp_path, "-c", tmp_path / "nginx.conf", "-g", "daemon off;"],
        stderr=subprocess.DEVNULL,
    ) as nginx:
        try:
            until(lambda: _answers(port), "nginx answers")
            for vector in VECTORS:
                if SMUGGLED not in vector.data:
                    continue
                # To nginx the end of what a client sends is the end of the client.
                answer = say(port, vector.data, ends=False, patience=0.3)
                assert answer.count(b"HTTP/1.1 ") >= answer.count(_SMUGGLED), vector.name
                # The next one of whoever comes is not answered with what was smuggled.
                own = say(port, _OWN, ends=False)
                assert b"<GET /own >" in own, vector.name
                assert _SMUGGLED not in own, vector.name
        finally:
            nginx.terminate()


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


def _is_answered_as_parsed(server: Echo, stream: tuple[bytes, list[bytes]]) -> None:
    whole, _ = stream
    answers = re.findall(rb"HTTP/1\.[01] [2-5]\d\d ", say(server.port, whole, ends=True))
    assert len(answers) == len(parsed([whole]))
    assert server.process.poll() is None


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(streams())
def test_any_bytes_are_answered_as_they_are_parsed(
    server: Echo, stream: tuple[bytes, list[bytes]]
) -> None:
    """As many responses come as there are requests and refusals, whatever is sent."""
    _is_answered_as_parsed(server, stream)


@pytest.mark.thorough
@settings(max_examples=3000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(streams())
def test_many_more_bytes_are_answered_as_they_are_parsed(
    server: Echo, stream: tuple[bytes, list[bytes]]
) -> None:
    """As the test before, for about a minute: `make fuzz`."""
    _is_answered_as_parsed(server, stream)
