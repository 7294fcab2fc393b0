"""With `--preload`, what the application has started runs in the arbiter and nowhere else."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys

import pytest

from tests.concurrency.server.served import ROOT, Served
from tests.servers import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

# An app that starts a greenlet for each way to wait, and views that wake all of them.
APP = """
import gc
import os
import queue
import select
import socket
import subprocess
import sys
import stat
import threading
import time

import gevent
import gevent.event
import gevent.lock
import gevent.queue
from django.apps import AppConfig
from django.http import HttpResponse, JsonResponse
from django.urls import path

from concurrency import spawn

event, gevents_event, later = threading.Event(), gevent.event.Event(), threading.Event()
jobs, gevents_jobs = queue.Queue(), gevent.queue.Queue()
lock, semaphore, condition = threading.Lock(), gevent.lock.Semaphore(), threading.Condition()
peer, ours, theirs = None, *socket.socketpair()

def note(what):
    with open("resumed", "a") as file:
        file.write(f"{what} {os.getpid()}\\n")

def with_timeout():
    with gevent.Timeout(0.7, False):
        gevent.event.Event().wait()

def with_condition():
    with condition:
        condition.wait()

WAITS = {
    "sleep": lambda: time.sleep(0.2),
    "event": event.wait,
    "event of gevent": gevents_event.wait,
    "event with a limit": lambda: later.wait(0.6),
    "queue": jobs.get,
    "queue of gevent": gevents_jobs.get,
    "lock": lock.acquire,
    "semaphore": semaphore.acquire,
    "condition": with_condition,
    "timeout": with_timeout,
    "select": lambda: select.select([ours], [], []),
    "socket": lambda: peer.recv(1),
}

def job(what):
    try:
        while True:
            WAITS[what]()
            note(what)
            time.sleep(0.1)
    finally:
        note("end of " + what)

def begin():
    global peer
    lock.acquire()
    semaphore.acquire()
    peer = socket.create_connection(("127.0.0.1", int(os.environ["PEER_OF_TEST"])))
    for what in WAITS:
        threading.Thread(target=job, args=(what,), name=what, daemon=True).start()
    gevent.spawn(job, "sleep")
    gevent.spawn_raw(job, "sleep")
    spawn(job, "sleep")
    gevent.spawn_later(2.0, note, "later")

def wake(request):
    for one in (event, gevents_event, later):
        one.set()
    jobs.put(1)
    gevents_jobs.put(1)
    lock.release()
    semaphore.release()
    with condition:
        condition.notify_all()
    theirs.send(b"x")
    gevent.sleep(2.5)
    own = gevent.getcurrent()
    gevent.killall(
        [o for o in gc.get_objects() if isinstance(o, gevent.Greenlet) and o is not own], timeout=5
    )
    found = {
        "pid": os.getpid(),
        "threads": [one.name for one in threading.enumerate()],
        "jobs": [jobs.get(timeout=1), gevents_jobs.get(timeout=1)],
        "lock": lock.acquire(timeout=1),
        "semaphore": semaphore.acquire(timeout=1),
        "sockets": [
            stat.S_ISSOCK(os.fstat(one.fileno()).st_mode) for one in (peer, ours, theirs)
        ],
    }
    for one in threading.enumerate():
        if one.name in WAITS:
            one.join()
    return JsonResponse(found)

class Config(AppConfig):
    name = "preloaded"

    def ready(self):
        import urls_of_test
        urls_of_test.urlpatterns.append(path("wake/", wake))
        begin()
"""


@pytest.fixture
def start(tmp_path):
    """Start a service for one test."""
    (tmp_path / "preloaded").mkdir()
    (tmp_path / "preloaded" / "__init__.py").touch()
    with contextlib.ExitStack() as stack:

        def begin(app: str, *arguments: str, **variables: str) -> Served:
            (tmp_path / "preloaded" / "apps.py").write_text(app)
            made = Served(tmp_path, *arguments, APPS_OF_TEST="preloaded", **variables)
            return stack.enter_context(made)

        yield begin


@pytest.mark.parametrize("worker", ["gevent", "concurrency.server.GeventWorker"])
def test_no_greenlet_of_the_arbiter_runs_in_a_worker(start, worker):
    """Whatever a greenlet waits for, in a worker it is neither resumed nor ended."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)
        port = str(listener.getsockname()[1])
        arguments = ("--worker-class", worker, "--workers", "2", "--", "--preload")
        server = start(APP, *arguments, PEER_OF_TEST=port).is_ready()
        # Of `manage.py serve`, of the arbiter that it becomes, and of the ops process.
        peers = [listener.accept()[0] for _ in range(3)]
        with contextlib.ExitStack() as stack:
            for peer in peers:
                stack.enter_context(peer).settimeout(30)
            found = {}
            while len(found) < 2:  # each of the workers
                pid = int(server.get("/number/1/")[1])
                if pid in found:
                    continue
                found[pid] = server.get("/wake/")[0]
            assert set(found.values()) == {200}
            for peer in peers:
                with contextlib.suppress(ConnectionError):
                    peer.sendall(b"xx")
            resumed = server.folder / "resumed"
            arbiter = str(server.process.pid)
            until(lambda: f"socket {arbiter}" in resumed.read_text(), "the arbiter has its socket")
            until(lambda: f"later {arbiter}" in resumed.read_text(), "the arbiter goes on")
            lines = [line.rpartition(" ") for line in resumed.read_text().splitlines()]
            assert {pid for _, _, pid in lines} == {arbiter}, resumed.read_text()
            assert not [what for what, _, _ in lines if what.startswith("end")]
            assert server.text.count("post_fork(server, worker)") == 1
            assert 'thread "queue"' in server.text
            assert 'greenlet "job"' in server.text
            assert server.ends() == 0
            for peer in peers:  # nobody has a connection any more
                with contextlib.suppress(ConnectionError):
                    assert peer.recv(1) == b""
    assert "are cancelled" not in server.text
    assert "Traceback" not in server.text


def test_a_worker_holds_nothing_of_what_was_dropped(start):
    """Its locks and queues are free of them, their threads have ended, their sockets are closed."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        server = start(APP, "--", "--preload", PEER_OF_TEST=port).is_ready()
        status, body = server.get("/wake/", timeout=20)
        assert status == 200, body
        found = json.loads(body)
        assert found["pid"] != server.process.pid
        assert found["threads"] == ["MainThread"]
        assert found["jobs"] == [1, 1], "an item is not handed to one that cannot take it"
        assert found["lock"]
        assert found["semaphore"]
        assert found["sockets"] == [False, False, True]
        assert server.ends() == 0


QUIET = """
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from django.apps import AppConfig

def note(what):
    with open("resumed", "a") as file:
        file.write(f"{what} {os.getpid()}\\n")

def job():
    while True:
        note("job")
        time.sleep(0.1)

class Config(AppConfig):
    name = "preloaded"

    def ready(self):
        threading.Thread(target=job, daemon=True).start()
        threading.Timer(0.1, note, ["timer"]).start()
        first = threading.Thread(target=note, args=["joined"])
        first.start()
        first.join()
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(note, ["mapped"]))
"""


def test_threads_of_the_application_do_not_run_beside_the_probes(start):
    """The ops process loads the application and starts none of its threads, unless it waits."""
    server = start(QUIET).is_ready()
    ops, resumed = server.ops_process(), server.folder / "resumed"
    worker = int(server.get("/")[1])
    lines = resumed.read_text().splitlines()
    assert f"joined {ops}" in lines
    assert f"mapped {ops}" in lines
    until(lambda: resumed.read_text().count(f"job {worker}") > 5, "the worker's own runs")
    text = resumed.read_text()
    assert text.count(f"job {ops}\n") == 0, text
    assert "do not run beside the probes: Thread-" in server.text


UNBEGUN = """
import concurrency.patch
import os
import gevent
from concurrency.server.worker import forking

ran = []
gevent.spawn_raw(ran.append, "raw")
gevent.spawn(ran.append, "greenlet")
forking.expect()
if not os.fork():
    gevent.idle()
    print("child", ran, flush=True)
    os._exit(0)
os.wait()
gevent.idle()
print("parent", ran)
"""


def test_a_greenlet_that_has_not_begun_begins_in_the_parent_alone():
    """Also one of `spawn_raw`, whose first turn comes after the fork."""
    done = subprocess.run(
        [sys.executable, "-c", UNBEGUN], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.splitlines() == ["child []", "parent ['raw', 'greenlet']"]
