"""Celery's workers: its tasks use the ORM on connections of their own process."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.servers import until

# Celery takes its time to start.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

ROOT = Path(__file__).resolve().parents[2]

# The broker is a folder, and the worker itself sends the tasks when it is ready.
TASKS = """
import concurrency.patch
import os
import django
from django.conf import settings
from environ import Env

settings.configure(
    DATABASES={"default": {**Env.db_url_config(os.environ["DATABASE_URL"]),
                           "ENGINE": "concurrency.db.backends.postgresql"}},
    INSTALLED_APPS=["concurrency"], USE_TZ=True,
)
django.setup()
from celery import Celery
from celery.signals import worker_ready
from django.db import connection
from concurrency.patching.lateness import is_patched

app = Celery("tasks", broker="filesystem://", set_as_current=True)
app.conf.worker_redirect_stdouts = False
app.conf.broker_transport_options = {
    "data_folder_in": "queue", "data_folder_out": "queue", "control_folder": "control",
    "polling_interval": 0.02,
}

def look(who, number):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid(), %s::int, pg_sleep(0.02)", [number])
        session, answer, _ = cursor.fetchone()
    line = f"{who}: {os.getpid()} {session} {answer} {is_patched()}\\\\n"
    os.write(1, line.encode())

@app.task
def ask(number):
    look("task", number)

look("parent", 0)

@worker_ready.connect
def send(**_):
    for number in range(20):
        ask.delay(number)
"""

# Process, session, answer, whether it is patched.
Looks = list[tuple[int, int, int, bool]]


def looks(log: str, who: str) -> Looks:
    found = re.findall(rf"{who}: (\d+) (\d+) (\d+) (\w+)", log)
    return [(int(pid), int(session), int(n), word == "True") for pid, session, n, word in found]


@pytest.fixture
def work(tmp_path, postgres_url) -> Callable[..., tuple[Looks, Looks]]:
    """Run a worker until its tasks are done; returns what they saw, and what its parent saw."""
    (tmp_path / "tasks.py").write_text(TASKS)
    for name in ("queue", "control"):
        (tmp_path / name).mkdir()
    path = tmp_path / "log"
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{tmp_path}", "DATABASE_URL": postgres_url}

    def run(*options: str, **more: str) -> tuple[Looks, Looks]:
        command = [sys.executable, "-m", "celery", "-A", "tasks", "worker", *options]
        command += ["--without-gossip", "--without-mingle"]
        with path.open("w") as output:
            process = subprocess.Popen(
                command, cwd=tmp_path, env={**environment, **more}, stdout=output, stderr=output
            )
        try:
            until(
                lambda: process.poll() is not None or path.read_text().count("task: ") == 20,
                "the tasks are done",
                limit=40,
            )
            process.terminate()
            process.wait(10)
        finally:
            process.kill()
            process.wait()
        log = path.read_text()
        assert log.count("task: ") == 20, log
        return looks(log, "task"), looks(log, "parent")

    return run


def test_children_of_a_prefork_worker_have_sessions_of_their_own(work):
    """Their parent has used the ORM before it forked."""
    tasks, parent = work("-P", "prefork", "-c", "2", CONCURRENCY_PATCH="0")
    assert sorted(answer for *_, answer, _ in tasks) == list(range(20))
    assert not any(is_patched for *_, is_patched in tasks)
    of_process = {pid: {session for p, session, *_ in tasks if p == pid} for pid, *_ in tasks}
    assert sum(map(len, of_process.values())) == len(set.union(*of_process.values()))
    assert not {session for _, session, *_ in parent} & set.union(*of_process.values())
    assert parent[0][0] not in of_process


def test_a_gevent_worker_leases_from_a_pool(work):
    """Celery patches in time for it, and the tasks of its one process share few sessions."""
    tasks, _ = work("-P", "gevent", "-c", "4")
    assert sorted(answer for *_, answer, _ in tasks) == list(range(20))
    assert all(is_patched for *_, is_patched in tasks)
    assert len({pid for pid, *_ in tasks}) == 1
    assert len({session for _, session, *_ in tasks}) <= 5
