"""A machine without room, descriptors or temporary files costs metrics at most, and no worker."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest

from tests.concurrency.server.served import Served
from tests.servers import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

WORKERS = ["gevent", "concurrency.server.GeventWorker"]

# An app that adds views to the project of the tests.
TROUBLE = """
import gc
import os
import resource
import gevent
from django.apps import AppConfig
from django.http import HttpResponse
from django.urls import path
from gevent import Greenlet

def kill_all(request):
    own = gevent.getcurrent()
    others = [o for o in gc.get_objects() if isinstance(o, Greenlet) and o is not own]
    gevent.killall(others, timeout=5)
    return HttpResponse(str(len(others)))

def exhaust(request):
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, before[1]))
    taken = []
    try:
        while True:
            taken.append(os.dup(1))
    except OSError:
        gevent.sleep(1.0)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for descriptor in taken:
            os.close(descriptor)
    return HttpResponse(str(len(taken)))

class Config(AppConfig):
    name = "trouble"

    def ready(self):
        import urls_of_test
        urls_of_test.urlpatterns += [path("kill-all/", kill_all), path("exhaust/", exhaust)]
"""


@pytest.fixture
def start(tmp_path):
    """Start a service for one test."""
    (tmp_path / "trouble").mkdir()
    (tmp_path / "trouble" / "__init__.py").touch()
    (tmp_path / "trouble" / "apps.py").write_text(TROUBLE)
    with contextlib.ExitStack() as stack:
        yield lambda *arguments, **variables: stack.enter_context(
            Served(tmp_path, *arguments, **{"APPS_OF_TEST": "trouble", **variables})
        )


@pytest.fixture
def base():
    """A folder whose path is short enough for a socket in it."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def silent(server: Served) -> float:
    """Return for how long the hub of its only worker has not turned."""
    return server.metric(f'concurrency_worker_silent_seconds{{pid="{int(server.get("/")[1])}"}}')


@pytest.mark.parametrize("worker", WORKERS)
def test_a_view_that_kills_all_greenlets_leaves_the_worker_ready(start, worker):
    """`gevent.killall` of all that it finds ends neither the heartbeat nor the ops process."""
    server = start("--worker-class", worker).is_ready()
    pid = server.get("/")[1]
    for _ in range(3):
        assert server.get("/kill-all/")[0] == 200
    before = server.probe("/ready")[1]["numbers"]
    until(lambda: 0.0 < silent(server) < 0.5, "it still reports")
    os.kill(server.ops_process(), signal.SIGKILL)
    server.is_ready()
    assert server.probe("/ready")[1]["numbers"]["workers"] == before["workers"]
    assert server.get("/")[1] == pid
    assert server.ends() == 0


@pytest.mark.parametrize("worker", WORKERS)
def test_a_worker_without_descriptors_reports_on(start, worker):
    """While a worker cannot open a file its heart beats, and it is ready afterwards."""
    server = start("--worker-class", worker).is_ready()
    pid = server.get("/")[1]
    name = f'concurrency_worker_silent_seconds{{pid="{int(pid)}"}}'
    status, taken = server.get("/exhaust/")
    assert (status, int(taken) > 0) == (200, True)
    assert server.metric(name) < 1.0
    assert server.status("/ready") == 200
    assert server.get("/")[1] == pid
    assert server.ends() == 0


def test_a_cleaned_folder_is_made_again(start, base):
    """Workers start, metrics go on and greenlets are shown after a cleaner took the folder."""
    server = start(CONCURRENCY_RUNTIME_FOLDER=str(base)).is_ready()
    name = 'concurrency_requests_total{method="GET",route="/sell/",status="200"}'
    assert server.get("/sell/")[0] == 200
    until(lambda: server.metric(name) == 1, "it is counted")
    (private,) = base.iterdir()
    for _ in range(2):
        shutil.rmtree(private)
        assert server.get("/sell/")[0] == 200
        os.kill(int(server.get("/")[1]), signal.SIGKILL)
        os.kill(server.ops_process(), signal.SIGKILL)
        server.is_ready()
        until(lambda: len(list(private.glob("*/greenlets-*.sock"))) == 1, "greenlets are shown")
        until(lambda: server.metric("concurrency_workers") == 1, "the board is known")
        assert server.get("/sell/")[0] == 200
        until(lambda: server.metric(name) >= 1, "it is counted again")
    server.process.send_signal(signal.SIGHUP)
    server.says("Booting worker", 4)
    server.is_ready()
    assert server.ends() == 0
    assert list(private.iterdir()) == []


def test_a_running_worker_counts_on_in_a_new_folder(start, base):
    """What a worker counted before a cleaner came is shown when the folder is there again."""
    server = start(CONCURRENCY_RUNTIME_FOLDER=str(base)).is_ready()
    name = 'concurrency_requests_total{method="GET",route="/sell/",status="200"}'
    pid = server.get("/sell/")[1]
    (private,) = base.iterdir()
    shutil.rmtree(private)
    assert server.get("/sell/")[1] == pid
    until(lambda: server.metric(name) == 2, "both are counted")
    until(lambda: len(list(private.glob("*/greenlets-*.sock"))) == 1, "greenlets are shown")
    assert server.metric('shop_sold_total{what="tea"}') == 2


def test_without_a_place_for_its_folder_a_service_serves(start):
    """Where the folder cannot be made there are no metrics, one line says why, probes answer."""
    server = start(CONCURRENCY_RUNTIME_FOLDER="/proc").is_ready()
    assert server.get("/sell/")[0] == 200
    assert server.status("/metrics") == 404
    assert server.text.count("its folder cannot be made") == 1
    os.kill(int(server.get("/")[1]), signal.SIGKILL)
    server.is_ready()
    assert server.ends() == 0
    assert "Traceback" not in server.text


@pytest.mark.parametrize("what", ["link", "file", "missing", "open"])
def test_a_runtime_folder_that_is_none_is_one_line(start, tmp_path, what):
    """A dangling link, a file, a missing or an open folder ends the start with what to do."""
    base = tmp_path / "runtime"
    if what != "missing":
        base.mkdir()
        private = base / f"concurrency-{os.getuid()}"
        {
            "link": lambda: private.symlink_to(tmp_path / "nowhere"),
            "file": private.touch,
            "open": lambda: private.mkdir(mode=0o777),
        }[what]()
        if what == "open":
            private.chmod(0o777)
    server = start(CONCURRENCY_RUNTIME_FOLDER=str(base))
    assert server.process.wait(timeout=60) == 1
    assert "Traceback" not in server.text
    (line,) = [line for line in server.text.splitlines() if "CONCURRENCY_RUNTIME_FOLDER" in line]
    assert line.startswith("gunicorn: ")
