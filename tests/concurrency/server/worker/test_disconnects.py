"""Clients that go away from a real gunicorn, over TCP, TLS and a Unix socket."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import ssl
import struct
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import gevent
import pytest

from concurrency.disconnects import Watch
from tests.servers import Sessions, named, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ROOT = Path(__file__).resolve().parents[4]
NAME = "clients-that-go"

APPLICATION = """
import concurrency.patch
import os, sys
import django, gevent
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import connection, transaction
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import path
from environ import Env

settings.configure(
    ROOT_URLCONF=__name__, SECRET_KEY="x", ALLOWED_HOSTS=["*"],
    DATABASES={"default": {**Env.db_url_config(os.environ["DATABASE_URL"]),
                           "ENGINE": "concurrency.db.backends.postgresql"}},
    MIDDLEWARE=["concurrency.middleware.ConcurrencyMiddleware"],
    CONCURRENCY={"CANCEL_ON_DISCONNECT": True},
)
django.setup()
from concurrency.db import pool_statistics
from concurrency.middleware import cancel_on_disconnect

def sleep(seconds):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(%s)", [seconds])

def slow(request, seconds):
    with transaction.atomic():
        sleep(float(seconds))
    return HttpResponse("slept")

@cancel_on_disconnect(False)
def stream(request):
    def chunks():
        try:
            with transaction.atomic():
                while True:
                    sleep(0.02)
                    yield "chunk"
        finally:
            print("the stream has ended", flush=True)
    return StreamingHttpResponse(chunks())

idle_streams = 0

def idle_stream(request):
    def chunks():
        global idle_streams
        idle_streams += 1
        try:
            sleep(0)
            yield "chunk"
            gevent.sleep(60)
        finally:
            idle_streams -= 1
    return StreamingHttpResponse(chunks())

def in_use(request):
    leases = sum(pool.in_use for pool in pool_statistics().values())
    return HttpResponse(f"{idle_streams} streams, {leases} leases")

urlpatterns = [
    path("slow/<seconds>/", slow), path("stream/", stream), path("idle-stream/", idle_stream),
    path("in-use/", in_use),
]
application = get_wsgi_application()
"""

# Asks, says that something has come, and waits to be killed.
CLIENT = """
import socket, sys, time
client = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
client.sendall(b"GET /stream/ HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
client.recv(1)
print("begun", flush=True)
while client.recv(65536): pass
"""


class Gunicorn:
    """A gunicorn that listens on a TCP port and on a Unix socket."""

    def __init__(self, folder: Path, environment: dict[str, str], certificate: Path | None) -> None:
        (folder / "app_of_test.py").write_text(APPLICATION)
        (folder / "empty.conf.py").write_text("import concurrency.patch\n")
        self.path = str(folder / "socket")
        self.is_tls = certificate is not None
        self.log = folder / "log"
        command = [
            *(sys.executable, "-m", "gunicorn", "-c", "empty.conf.py", "-k", "gevent"),
            *("-b", "127.0.0.1:0", "-b", f"unix:{self.path}"),
            *("--no-control-socket", "--graceful-timeout", "1", "--access-logfile", "-"),
            *(("--certfile", str(certificate)) if certificate else ()),
            "app_of_test:application",
        ]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, **environment, "PYTHONPATH": f"{ROOT}:{folder}"},
                stdout=log,
                stderr=log,
            )

    @property
    def port(self) -> int:
        found = re.search(r"Listening at: \S+//127.0.0.1:(\d+)", self.log.read_text())
        assert found, self.log.read_text()
        return int(found[1])

    def connect(self, *, unix: bool = False) -> socket.socket:
        client = socket.socket(socket.AF_UNIX) if unix else socket.socket()
        client.settimeout(30)
        client.connect(self.path if unix else ("127.0.0.1", self.port))
        if not self.is_tls:
            return client
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context.wrap_socket(client)

    def get(self, path: str, *, unix: bool = False) -> socket.socket:
        client = self.connect(unix=unix)
        client.sendall(f"GET {path} HTTP/1.0\r\nHost: x\r\n\r\n".encode())
        return client

    def read(self, client: socket.socket) -> str:
        with client:
            return b"".join(iter(lambda: client.recv(4096), b"")).decode()

    def has_logged(self, text: str) -> bool:
        return text in self.log.read_text()

    def has_in_use(self, streams: int, leases: int) -> bool:
        answer = self.read(self.get("/in-use/"))
        return answer.endswith(f"\n{streams} streams, {leases} leases")

    def is_free(self) -> bool:
        return self.has_in_use(0, 0)


def reset(client: socket.socket) -> None:
    """End a connection as somebody does who will not read what comes."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def start(folder: Path, url: str, certificate: Path | None = None) -> Iterator[Gunicorn]:
    server = Gunicorn(folder, {"DATABASE_URL": f"{named(url, NAME)}&pool_max_size=10"}, certificate)
    try:
        until(lambda: server.has_logged("Booting worker"), "gunicorn has a worker")
        yield server
    finally:
        server.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.process.wait(10)
        server.process.kill()
        server.process.wait()


@pytest.fixture(scope="module")
def plain(tmp_path_factory, postgres_url) -> Iterator[Gunicorn]:
    yield from start(tmp_path_factory.mktemp("plain"), postgres_url)


@pytest.fixture(scope="module")
def tls(tmp_path_factory, postgres_url) -> Iterator[Gunicorn]:
    folder = tmp_path_factory.mktemp("tls")
    pem = folder / "pem"
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    make += ["-nodes", "-subj", "/CN=localhost", "-keyout", str(pem), "-out", str(folder / "crt")]
    subprocess.run(make, check=True, capture_output=True)
    pem.write_text(pem.read_text() + (folder / "crt").read_text())
    yield from start(folder, postgres_url, pem)


@pytest.fixture(params=["plain", pytest.param("tls", marks=pytest.mark.openssl)])
def server(request) -> Gunicorn:
    """A gunicorn without, and one with, TLS."""
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
def test_the_work_of_a_client_that_has_gone_ends(server, postgres_url, unix):
    """A reset of TCP, and the close of a Unix socket: the statement is stopped at once."""
    with Sessions(postgres_url, NAME) as sessions:
        client = server.get("/slow/30/", unix=unix)
        until(lambda: len(sessions.active()) == 1, "the view's statement runs")
        if unix:
            client.close()
        else:
            reset(client)
        until(lambda: not sessions.active(), "the view's statement was stopped")
    until(server.is_free, "the lease is back")
    until(lambda: server.has_logged('/slow/30/ HTTP/1.0" 499'), "the access log knows")


@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
def test_a_half_closed_client_gets_its_answer(plain, unix):
    """It says that it sends no more, and waits."""
    client = plain.get("/slow/0.1/", unix=unix)
    client.shutdown(socket.SHUT_WR)
    assert plain.read(client).endswith("slept")


def test_a_killed_client_ends_the_stream_at_its_next_write(plain):
    """The generator is closed, its transaction is over, its lease is back."""
    client = subprocess.Popen(
        [sys.executable, "-S", "-c", CLIENT, str(plain.port)], stdout=subprocess.PIPE
    )
    with client:
        assert client.stdout.readline() == b"begun\n"
        assert not plain.is_free()
        client.kill()
    until(lambda: plain.has_logged("the stream has ended"), "the generator was closed")
    until(plain.is_free, "the lease is back")


def test_five_hundred_idle_streams_leave_a_pool_of_ten_free(plain):
    """Each has asked the database for its first chunk; they end when their clients have gone."""
    clients = [plain.get("/idle-stream/") for _ in range(500)]
    for client in clients:
        while not client.recv(4096).endswith(b"chunk"):
            pass
    assert plain.has_in_use(500, 0)
    for client in clients:
        reset(client)
    until(plain.is_free, "the streams have ended")


@pytest.mark.skipif(sys.platform != "linux", reason="only the kernel of Linux tells")
def test_an_error_for_one_client_that_has_gone_does_not_hide_the_others(capfd):
    """Who is looked at is looked at after it, too."""
    gone = []
    pairs = [socket.socketpair() for _ in range(3)]
    watches = [Watch(ours, enabled=True) for ours, _ in pairs]
    with contextlib.ExitStack() as stack:
        for ours, _ in pairs:
            stack.callback(ours.close)
        stack.enter_context(watches[0].calling(lambda: 1 / 0))
        for watch in watches[1:]:
            stack.enter_context(watch.calling(partial(gone.append, watch)))
        pairs[0][1].close()
        pairs[1][1].close()
        with gevent.Timeout(5):
            while not gone:
                gevent.sleep(0.01)
        pairs[2][1].close()
        with gevent.Timeout(5):
            while len(gone) < 2:
                gevent.sleep(0.01)
    assert [watch.has_gone for watch in watches] == [True] * 3
    assert "ZeroDivisionError" in capfd.readouterr().err
