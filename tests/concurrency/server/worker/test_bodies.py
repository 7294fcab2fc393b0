"""Bodies of requests, by both workers: whole, with a length, and no longer than they may be."""

from __future__ import annotations

import contextlib
import io
import socket

import gevent
import pytest
from gunicorn.http.errors import NoMoreData

from concurrency.server.worker import bodies
from tests.concurrency.server.gunicorns import OURS, STOCK, Gunicorn

FORM = (
    b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
    b'--B\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n" + b"z" * 50_000 + b"\r\n--B--\r\n"
)


@pytest.fixture(scope="module", params=[OURS, STOCK], ids=["ours", "stock"])
def server(request, tmp_path_factory):
    """One gunicorn of each worker class, with a small limit of bodies."""
    folder = tmp_path_factory.mktemp("gunicorn")
    limit = {"CONCURRENCY_MAX_BODY_SIZE": str(3 << 20)}
    with Gunicorn(folder, worker=request.param, **limit) as started:
        started.wait_for("views are imported")
        yield started


def in_chunks(body: bytes, size: int = 8000) -> bytes:
    """Return a body as Transfer-Encoding: chunked has it."""
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def exchange(server, sent: bytes, *, half_close: bool = False) -> bytes:
    """Send bytes and return everything that comes back."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
        client.sendall(sent)
        if half_close:
            client.shutdown(socket.SHUT_WR)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while data := client.recv(65536):
                answer += data
        return answer


def post(path: str, *headers: str, version: str = "1.1") -> bytes:
    lines = [f"POST {path} HTTP/{version}", "Host: x", "Connection: close", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


CHUNKED = "Transfer-Encoding: chunked"


@pytest.mark.slow
@pytest.mark.parametrize("size", [0, 1, 50_000, 2 << 20], ids=str)
def test_a_body_in_chunks_has_a_length(server, size):
    """Django sees all of it, whether it was kept in memory or in a file."""
    answer = exchange(server, post("/take/", CHUNKED) + in_chunks(b"x" * size))
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.partition(b"\r\n\r\n")[2].endswith(str(size).encode())


@pytest.mark.slow
def test_a_form_in_chunks_is_read(server):
    """Its fields and its file are there."""
    kind = "Content-Type: multipart/form-data; boundary=B"
    answer = exchange(server, post("/form/", CHUNKED, kind) + in_chunks(FORM))
    assert answer.endswith(b"a=1 file=50000")


@pytest.mark.slow
def test_a_request_may_follow_a_body_in_chunks(server):
    """The next one on the same connection begins where the body ends."""
    first = post("/take/", CHUNKED).replace(b"Connection: close\r\n", b"")
    answer = exchange(server, first + in_chunks(b"abc") + post("/take/", "Content-Length: 0"))
    assert answer.count(b"HTTP/1.1 200") == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "sent",
    [
        post("/take/", "Content-Length: 60") + b"half a tweet",
        post(
            "/form/",
            f"Content-Length: {len(FORM)}",
            "Content-Type: multipart/form-data; boundary=B",
        )
        + FORM[:30_000],
        post("/lines/", "Content-Length: 60") + b"a line\nand half of",
        post("/take/", CHUNKED) + b"5\r\nhel",
        post("/take/", CHUNKED) + b"5\r\nhello\r\n",
        post("/take/", CHUNKED) + b"5\r\nhello\r\n0\r\n",
        post("/take/", CHUNKED) + b"zz\r\nhello\r\n",
    ],
    ids=["length", "form", "lines", "in a chunk", "no last chunk", "no end", "no chunk"],
)
def test_a_body_that_is_cut_off_is_an_error(server, sent):
    """Fewer bytes than announced are no body: a view that reads it gets no further."""
    stored = server.text().count("stored")
    answer = exchange(server, sent, half_close=True)
    assert answer.startswith(b"HTTP/1.1 400")
    assert server.text().count("stored") == stored


@pytest.mark.slow
@pytest.mark.parametrize("header", ["Content-Length: 4000000", CHUNKED])
def test_a_body_beyond_the_limit_is_refused_by_both_workers(server, header):
    """With 413, and the connection ends."""
    body = b"x" * 4_000_000
    answer = exchange(
        server, post("/take/", header) + (in_chunks(body) if header == CHUNKED else body)
    )
    assert answer.startswith(b"HTTP/1.1 413")


@pytest.mark.slow
def test_a_request_without_a_host_is_refused(server):
    """By HTTP/1.1 it has to have one, by HTTP/1.0 it does not."""
    assert exchange(server, b"GET / HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 400")
    assert exchange(server, b"GET http://x/ HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 400")
    assert b" 200 OK\r\n" in exchange(server, b"GET / HTTP/1.0\r\n\r\n")


@pytest.mark.parametrize(
    "read",
    [
        lambda body: body.read(),
        lambda body: body.read(100),
        lambda body: list(body),
        lambda body: body.readlines(),
        lambda body: [body.readline(4) for _ in range(9)],
    ],
    ids=["read", "read some", "iterate", "readlines", "readline"],
)
def test_fewer_bytes_than_announced_raise(read):
    """However the application reads them; all of them are read without an error."""
    assert (
        bodies.Announced(io.BytesIO(b"a line\nand half more"), 17).read() == b"a line\nand half m"
    )
    read(bodies.Announced(io.BytesIO(b"a line\nand half"), 15))
    with pytest.raises(bodies.BodyCutOff):
        read(bodies.Announced(io.BytesIO(b"a line\nand half"), 20))


class Body:
    """What a server gives, which raises at its end."""

    def __init__(self, *pieces: bytes, error: Exception | None = None) -> None:
        self._pieces = list(pieces)
        self._error = error

    def read(self, size: int) -> bytes:
        if self._pieces:
            return self._pieces.pop(0)
        if self._error is not None:
            raise self._error
        return b""


def test_a_long_body_is_kept_in_a_file():
    """So many clients may send large bodies at the same time."""
    file, length = bodies.spool(Body(b"x" * 1_000_000, b"y" * 1_000_000), limit=0, min_rate=0)
    with file:
        assert length == 2_000_000
        assert file._rolled
        assert file.read() == b"x" * 1_000_000 + b"y" * 1_000_000


@pytest.mark.parametrize(
    ("error", "raised"),
    [(NoMoreData(), bodies.BodyCutOff), (TimeoutError(), bodies.BodyTooSlow)],
)
def test_a_body_that_does_not_end_is_not_spooled(error, raised):
    """Half of one is no body."""
    with pytest.raises(raised):
        bodies.spool(Body(b"half", error=error), limit=0, min_rate=0)


def test_a_body_that_drips_is_given_up(monkeypatch):
    """A client that sends less than the least rate holds no place for ever."""
    monkeypatch.setattr(bodies, "OVER", 0.1)

    class Dripping:
        def read(self, size: int) -> bytes:
            assert size == 100
            while True:
                gevent.sleep(0.01)

    with pytest.raises(bodies.BodyTooSlow):
        bodies.spool(Dripping(), limit=0, min_rate=1000)
