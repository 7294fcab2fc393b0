"""What gunicorn's hooks do to a worker, in a real gunicorn."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import gevent
import pytest

ROOT = Path(__file__).resolve().parents[3]

APPLICATION = """
import concurrency.patch
import gevent
from django.conf import settings
settings.configure(ROOT_URLCONF="urls_of_test", SECRET_KEY="x", ALLOWED_HOSTS=["*"])
import django
django.setup()
from django.core.wsgi import get_wsgi_application
application = get_wsgi_application()
"""

URLS = """
import gevent
from django.http import HttpResponse
from django.urls import path
from concurrency import spawn

print("views are imported", flush=True)

def late(seconds):
    gevent.sleep(seconds)
    print("spawned work is done", flush=True)

def work(request, seconds):
    spawn(late, float(seconds))
    return HttpResponse("started")

urlpatterns = [path("<seconds>/", work)]
"""

CONFIGURATION = """
import concurrency.patch
from concurrency.server.hooks import post_worker_init, worker_exit
worker_class = "gevent"
control_socket_disable = True
"""


class Gunicorn:
    """A gunicorn with an application of a few lines, and what it printed."""

    def __init__(self, folder: Path, graceful_timeout: int) -> None:
        (folder / "app_of_test.py").write_text(APPLICATION)
        (folder / "urls_of_test.py").write_text(URLS)
        (folder / "conf_of_test.py").write_text(CONFIGURATION)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        fd = self.listener.fileno()
        command = [sys.executable, "-m", "gunicorn", "-c", "conf_of_test.py", "-b", f"fd://{fd}"]
        command += ["--graceful-timeout", str(graceful_timeout), "app_of_test:application"]
        self.log = folder / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, "PYTHONPATH": f"{ROOT}:{folder}"},
                pass_fds=[fd],
                stdout=log,
                stderr=log,
            )

    def wait_for(self, text: str) -> None:
        with gevent.Timeout(10, TimeoutError(f"{text!r} is not in {self.log.read_text()}")):
            while text not in self.log.read_text():
                gevent.sleep(0.02)

    def get(self, path: str) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port)) as client:
            client.sendall(f"GET {path} HTTP/1.0\r\nHost: x\r\n\r\n".encode())
            return b"".join(iter(lambda: client.recv(4096), b""))

    def terminate(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=15)


@pytest.fixture
def start(tmp_path):
    started = []

    def begin(graceful_timeout: int) -> Gunicorn:
        started.append(Gunicorn(tmp_path, graceful_timeout))
        return started[-1]

    yield begin
    for server in started:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()
        server.listener.close()


@pytest.mark.slow
def test_views_are_loaded_before_the_first_request(start):
    """The first visitor does not wait for imports."""
    start(5).wait_for("views are imported")


@pytest.mark.slow
def test_spawned_greenlets_are_waited_for_at_the_end(start):
    """Work that outlives its request is not dropped when the worker is told to end."""
    server = start(10)
    server.wait_for("views are imported")
    assert server.get("/0.8/").endswith(b"started")
    assert server.terminate() == 0
    assert "spawned work is done" in server.log.read_text()


@pytest.mark.slow
def test_they_are_cancelled_when_they_take_too_long(start):
    """The graceful timeout is the limit, and what is cancelled is said."""
    server = start(3)
    server.wait_for("views are imported")
    assert server.get("/60/").endswith(b"started")
    assert server.terminate() == 0
    assert "spawned work is done" not in server.log.read_text()
    assert "1 spawned greenlets are cancelled" in server.log.read_text()
