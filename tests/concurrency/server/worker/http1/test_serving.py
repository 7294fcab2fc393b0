"""GeventWorker on a real socket: what it makes of an application's answers."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.concurrency.server.worker.http1.behaving import SIZE
from tests.servers import until

ROOT = Path(__file__).resolve().parents[5]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

WORKER = """
from concurrency.server import GeventWorker
class Worker(GeventWorker):
    stall_limit = 0.5
"""


class Server:
    """A gunicorn with one worker of ours and the application that behaves."""

    def __init__(self, folder: Path, *arguments: str, **variables: str) -> None:
        self.folder = folder
        self._log = folder / "log"
        (folder / "worker_of_test.py").write_text(WORKER)
        (folder / "file").write_bytes(os.urandom(SIZE))
        (folder / "packed").write_bytes(gzip.compress((folder / "file").read_bytes()))
        with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
            self.port = listener.getsockname()[1]
            command = [sys.executable, "-m", "gunicorn", "-w", "1", "--keep-alive", "30"]
            command += ["-k", "worker_of_test.Worker", "--no-control-socket"]
            command += ["-b", f"fd://{listener.fileno()}", *arguments]
            path = f"{ROOT}:{folder}"
            with self._log.open("w") as log:
                self.process = subprocess.Popen(
                    [*command, "tests.concurrency.server.worker.http1.behaving"],
                    cwd=ROOT,
                    env={**os.environ, "PYTHONPATH": path, "FOLDER_OF_TEST": str(folder)}
                    | variables,
                    pass_fds=[listener.fileno()],
                    stdout=log,
                    stderr=log,
                )

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.terminate()
        self.process.wait(timeout=60)

    @property
    def text(self) -> str:
        """What it has printed."""
        return self._log.read_text()

    def connect(self) -> socket.socket:
        """Return a connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def ask(self, path: str, method: str = "GET") -> tuple[http.client.HTTPResponse, bytes]:
        """Return the response to one request, and its body."""
        with contextlib.closing(
            http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        ) as client:
            client.request(method, path)
            found = client.getresponse()
            return found, found.read()

    def say(self, *pieces: bytes) -> bytes:
        """Send pieces, each once the one before can have arrived, and return all that comes."""
        with self.connect() as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for piece in pieces:
                client.sendall(piece)
            found = b""
            with contextlib.suppress(ConnectionError):
                while data := client.recv(65536):
                    found += data
            return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for most tests."""
    form = '%(h)s "%(r)s" %(s)s %(b)s %({x-a}i)s %({content-length}o)s %({raw_uri}e)s %(m)s'
    arguments = ["--access-logfile", "-", "--access-logformat", f"line {form}"]
    with Server(tmp_path_factory.mktemp("server"), *arguments) as started:
        yield started


CLOSE = b"Host: x\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("path", ["/file", "/rest", "/unpacked", "/memory"])
def test_files_are_sent_as_they_are_read(server: Server, path: str) -> None:
    """By the kernel where its bytes are those that the application would read."""
    file = (server.folder / "file").read_bytes()
    assert server.ask(path)[1] == (file[10:] if path == "/rest" else file)


@pytest.mark.parametrize("path", ["/file", "/rest", "/unpacked", "/memory", "/one", "/echo"])
def test_no_body_follows_the_answer_to_head(server: Server, path: str) -> None:
    """The next response on the connection is where the client looks for it."""
    data = server.say(
        b"HEAD %b HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode(),
        b"GET /one HTTP/1.1\r\n" + CLOSE,
    )
    first, _, second = data.partition(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 200")
    assert second.startswith(b"HTTP/1.1 200")
    assert second.endswith(b"\r\n\r\nonly")


def test_one_chunk_has_a_length(server: Server) -> None:
    """An iterable that says that it has one chunk needs no chunked coding."""
    found, body = server.ask("/one")
    assert (found.getheader("Content-Length"), body) == ("4", b"only")


def test_a_short_response_ends_the_connection_and_is_reported(server: Server) -> None:
    """The client sees that bytes are missing, and the log says of which request."""
    with pytest.raises(http.client.IncompleteRead):
        server.ask("/short")
    assert "the response to GET /short is shorter than its Content-Length: 5 of 10" in server.text


def test_an_answer_that_cannot_be_closed_is_reported(server: Server) -> None:
    """The client has its answer, and the connection ends."""
    data = server.say(b"GET /broken HTTP/1.1\r\nHost: x\r\n\r\n")
    assert data.endswith(b"\r\n\r\nwhole")
    assert "close() fails" in server.text


@pytest.mark.parametrize("path", ["/stops", "/times_out"])
def test_whatever_an_application_raises_is_answered(server: Server, path: str) -> None:
    """With 500, also what is no Exception."""
    assert server.ask(path)[0].status == 500
    assert f"Error handling request GET {path}" in server.text


def test_the_access_log_knows_requests_and_responses(server: Server) -> None:
    """gunicorn's atoms have the same values as with its own worker."""
    server.say(b"GET /one?q=1 HTTP/1.1\r\nX-A: b\r\n" + CLOSE)
    line = 'line 127.0.0.1 "GET /one?q=1 HTTP/1.1" 200 4 b 4 /one?q=1 GET'
    until(lambda: line in server.text, line)


def test_the_body_is_terminated(server: Server) -> None:
    """An application may read to the end, of a body with a length and of one in chunks."""
    data = server.say(
        b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"3\r\nabc\r\n",
        b"0\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nContent-Length: 2\r\n" + CLOSE + b"de",
    )
    assert b"<3>abc" in data
    assert b"<2>de" in data
    assert data.count(b"X-Terminated: True") == 2


def test_a_client_that_waits_to_send_is_told_to_go_on(server: Server) -> None:
    """After the checks of the head; one that fails them is told so instead."""
    head = b"POST /echo HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n"
    with server.connect() as client:
        client.sendall(head + CLOSE)
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"abc")
        with client.makefile("rb") as answer:
            assert answer.read().endswith(b"<3>abc")
    assert server.say(head + b"\r\n").startswith(b"HTTP/1.1 400")
    large = head.replace(b": 3", b": 999999999999")
    assert server.say(large + CLOSE).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize("path", [b"/taken", b"/taken?file"])
def test_bytes_behind_an_upgrade_reach_the_application(server: Server, path: bytes) -> None:
    """They are the first that it receives, whatever it reads with."""
    head = b"GET %b HTTP/1.1\r\nHost: x\r\nUpgrade: lines\r\nConnection: upgrade\r\n\r\n" % path
    assert server.say(head + b"a line\n") == b"got a line\n"
    assert server.say(head, b"a line\n") == b"got a line\n"


def test_a_reader_of_a_stream_that_stops_is_left(server: Server) -> None:
    """Also when its buffer was full before a chunk was sent."""
    with server.connect() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(b"GET /endless HTTP/1.1\r\n" + CLOSE)
        until(lambda: "GET /endless HTTP/1.1" in server.text, "the request has ended")


V2 = b"\r\n\r\n\0\r\nQUIT\n"
ADDRESSES = socket.inet_aton("192.0.2.1") + socket.inet_aton("192.0.2.2") + struct.pack(">HH", 5, 6)
PROXIED = [
    (b"PROXY TCP4 192.0.2.1 192.0.2.2 5 6\r\n", b"<192.0.2.1 192.0.2.2>"),
    (b"PROXY TCP6 2001:db8::1 2001:db8::2 5 6\r\n", b"<2001:db8::1 2001:db8::2>"),
    (b"PROXY UNKNOWN\r\n", b"<127.0.0.1 None>"),
    (V2 + b"\x21\x11\0\x0c" + ADDRESSES, b"<192.0.2.1 192.0.2.2>"),
    (V2 + b"\x20\0\0\0", b"<127.0.0.1 None>"),
]


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server behind a balancer that speaks the PROXY protocol."""
    arguments = ["--proxy-protocol", "auto", "--proxy-allow-from", "127.0.0.1"]
    with Server(tmp_path_factory.mktemp("proxied"), *arguments) as started:
        yield started


@pytest.mark.parametrize(("header", "expected"), PROXIED)
def test_the_proxy_protocol_says_who_the_client_is(
    proxied: Server, header: bytes, expected: bytes
) -> None:
    """Both versions, with the request or before it, once for all requests of a connection."""
    requests = b"GET /who HTTP/1.1\r\nHost: x\r\n\r\nGET /who HTTP/1.1\r\n" + CLOSE
    assert proxied.say(header + requests).count(expected) == 2
    with proxied.connect() as client:
        for byte in header:
            client.sendall(bytes([byte]))
        client.sendall(requests)
        with client.makefile("rb") as answer:
            assert answer.read().count(expected) == 2


@pytest.mark.parametrize("header", [b"PROXY TCP4 x\r\n", b"PROXY " + b"x" * 200, V2 + b"\xff" * 9])
def test_a_malformed_proxy_header_is_refused(proxied: Server, header: bytes) -> None:
    """The connection ends before anything is believed."""
    data = proxied.say(header + b"GET /who HTTP/1.1\r\n" + CLOSE)
    assert data.startswith(b"HTTP/1.1 400")


def test_a_stranger_must_not_send_a_proxy_header(tmp_path: Path) -> None:
    """Only addresses of proxy_allow_ips are believed."""
    arguments = ["--proxy-protocol", "auto", "--proxy-allow-from", "192.0.2.9"]
    with Server(tmp_path, *arguments) as server:
        data = server.say(PROXIED[0][0] + b"GET /who HTTP/1.1\r\n" + CLOSE)
        assert data.startswith(b"HTTP/1.1 403")


def test_bodies_are_kept_in_the_chosen_folder(tmp_path: Path) -> None:
    """A file system that can only be read elsewhere is enough."""
    folder = tmp_path / "spool"
    folder.mkdir()
    variables = {"CONCURRENCY_SPOOL_DIR": str(folder), "CONCURRENCY_MAX_SPOOLED": "1000000"}
    with Server(tmp_path, TMPDIR="/no/such/folder", **variables) as server:
        head = b"POST /echo HTTP/1.1\r\nContent-Length: %d\r\n" + CLOSE
        assert b"<900000>" in server.say(head % 900_000 + b"a" * 900_000)
        assert b" 503 Service Unavailable\r\n" in server.say(head % 2_000_000 + b"a" * 2_000_000)
        assert b"<900000>" in server.say(head % 900_000 + b"a" * 900_000)


HOOKS = """
def pre_request(worker, req):
    print("before", req.method, req.path, req.query, dict(req.headers)["X-A"], flush=True)

def post_request(worker, req, environ, resp):
    print("after", req.uri, environ["PATH_INFO"], resp.status, resp.sent, flush=True)
    raise LookupError("the hook fails")
"""


def test_hooks_of_users_know_requests_and_responses(tmp_path: Path) -> None:
    """As with gunicorn's own workers; an error of theirs is logged, and costs no connection."""
    (tmp_path / "hooks.py").write_text(HOOKS)
    with Server(tmp_path, "-c", str(tmp_path / "hooks.py")) as server:
        get = b"GET /one?q HTTP/1.1\r\nX-A: b\r\n"
        data = server.say(get + b"Host: x\r\n\r\n", get + CLOSE)
        assert data.count(b"HTTP/1.1 200 OK") == 2
        until(lambda: server.text.count("LookupError: the hook fails") == 2, "both are logged")
        assert server.text.count("before GET /one q b") == 2
        assert server.text.count("after /one?q /one 200 OK 4") == 2
