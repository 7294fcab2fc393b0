"""Adoption: what the README says, done by a project with any `gunicorn.conf.py`."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from deploy.cluster import free_port
from tests.concurrency.server import adopted
from tests.concurrency.server.served import ask
from tests.servers import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

OURS, STOCK = (
    "concurrency.server.worker.worker.GeventWorker",
    "gunicorn.workers.ggevent.GeventWorker",
)
LINE = "from concurrency.server.hooks import *"
WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = 'shop' AND wait_event_type = 'Lock'"
)


@pytest.fixture(scope="module")
def project(tmp_path_factory, postgres_url):
    """The adopted project, migrated."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE shop")
        try:
            folder = adopted.adopt(tmp_path_factory.mktemp("adopted"))
            subprocess.run(
                [sys.executable, "manage.py", "migrate"],
                cwd=folder,
                env=adopted.environment(folder, postgres_url),
                check=True,
                capture_output=True,
            )
            yield folder
        finally:
            connection.execute("DROP DATABASE shop WITH (FORCE)")


class Started:
    """The project under a server; the application's port and the ops port are free ones."""

    def __init__(
        self, project: Path, postgres_url: str, kind: str, *command: str, **more: str
    ) -> None:
        configuration = adopted.CONFIGURATIONS[kind]
        (project / "gunicorn.conf.py").unlink(missing_ok=True)
        if configuration is not None:
            (project / "gunicorn.conf.py").write_text(configuration)
        self.port, self.ops_port = free_port(), free_port()
        self._url = postgres_url
        self._log = project / "log"
        variables = {"PORT": str(self.port), "CONCURRENCY_OPS_PORT": str(self.ops_port)}
        variables |= more
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, *command],
                cwd=project,
                env=adopted.environment(project, postgres_url, **variables),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def text(self) -> str:
        return self._log.read_text()

    def has(self, port: int, path: str) -> bool:
        assert self.process.poll() is None, self.text
        with contextlib.suppress(OSError):
            return ask(port, path)[0] == 200
        return False

    def facts(self) -> dict:
        return json.loads(ask(self.port, "/facts/")[1])

    def workers(self) -> int:
        """Return how many workers there are."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        lines = [Path(f"/proc/{child}/cmdline").read_bytes() for child in children]
        return sum(b"concurrency.server.ops" not in line for line in lines)

    def at_once(self, path: str, requests: int) -> None:
        """Ask; return when ten statements wait at the same time and are then all answered."""
        url = adopted.environment(Path(), self._url)
        with (
            psycopg.connect(
                host=url["PGHOST"],
                port=url["PGPORT"],
                user=url["PGUSER"],
                password=url["PGPASSWORD"],
                dbname="shop",
                autocommit=True,
            ) as connection,
            ThreadPoolExecutor(requests) as threads,
        ):
            connection.execute("SELECT pg_advisory_lock(7)")
            answers = [threads.submit(ask, self.port, path, timeout=60) for _ in range(requests)]
            try:
                until(lambda: connection.execute(WAITING).fetchone() == (10,), "ten wait")
            finally:
                connection.execute("SELECT pg_advisory_unlock(7)")
        assert {answer.result()[0] for answer in answers} == {200}


@pytest.fixture
def start(project, postgres_url):
    """Start the project; it is ended with the test."""
    started: list[Started] = []

    def begin(kind: str, *command: str, **more: str) -> Started:
        started.append(Started(project, postgres_url, kind, *command, **more))
        return started[-1]

    yield begin
    for server in started:
        server.process.send_signal(signal.SIGTERM)
        try:
            server.process.wait(timeout=60)
        finally:
            server.process.kill()


def screen(text: str) -> dict[str, str]:
    """Return the start screen: what stands behind each of its names."""
    lines = re.findall(r"^  (\w[\w ]*?|) {2,}(\S.*)$", text, re.MULTILINE)
    return {name or f"line {number}": said for number, (name, said) in enumerate(lines)}


@pytest.mark.parametrize("kind", adopted.CONFIGURATIONS)
def test_serve_is_right_with_any_configuration(start, kind):
    """Ten waits run at once, probes answer, and the screen says what really runs."""
    server = start(kind, "manage.py", "serve", "--workers", "2")
    until(lambda: server.has(server.ops_port, "/ready"), "ready")
    server.at_once("/wait/", 10)
    server.at_once("/fan-out/", 1)
    facts, said = server.facts(), screen(server.text)
    assert facts["class"] == (STOCK if kind == "class" else OURS)
    assert facts["shed_after"] == (None if kind == "class" else 1.0)
    assert said["application"] == f"http://127.0.0.1:{server.port}/"
    named = "gevent" if kind == "class" else "concurrency.server.GeventWorker"
    assert said["workers"] == f"{server.workers()} of {named}"
    assert said["shedding"].startswith("off " if kind == "class" else "503 after 1 s ")
    assert said["pool"].startswith(f"{facts['pool']} connections for each of 2 workers, 40 in all")
    assert said["ops port"] == (
        f"http://127.0.0.1:{server.ops_port} /startup /alive /ready /metrics"
    )
    assert ask(server.ops_port, "/metrics")[0] == 200
    assert ("without load shedding" in server.text) == (kind == "class")


def test_metrics_that_are_off_are_not_announced(start):
    """Without prometheus-client the screen says what installs it in place of the path."""
    server = start("none", "manage.py", "serve", ABSENT_OF_TEST="prometheus_client")
    until(lambda: server.has(server.ops_port, "/ready"), "ready")
    said = screen(server.text)
    assert said["ops port"].endswith("/startup /alive /ready")
    assert said["metrics"] == "off: pip install 'django-gevent-concurrency[metrics]'"
    status, page = ask(server.ops_port, "/metrics")
    assert (status, json.loads(page)["status"]) == (404, "no metrics")
    assert "pip install 'django-gevent-concurrency[metrics]'" in json.loads(page)["hint"]


@pytest.mark.parametrize("kind", ["none", "import"])
def test_plain_gunicorn_with_its_synchronous_worker_is_refused(start, kind):
    """It ends at once, with the lines that a gunicorn.conf.py has to have."""
    server = start(kind, "-m", "gunicorn", "shop.wsgi")
    assert server.process.wait(timeout=60) != 0
    assert "SyncWorker' does not serve greenlets" in server.text
    assert LINE in server.text
    assert "Traceback" not in server.text


@pytest.mark.parametrize(
    ("kind", "options"), [("none", ["-k", "gevent"]), ("class", []), ("ours", [])]
)
def test_plain_gunicorn_serves_and_names_what_is_missing(start, kind, options):
    """Ten waits run at once; without the hooks one line names what they would do."""
    server = start(kind, "-m", "gunicorn", *options, "shop.wsgi")
    until(lambda: server.has(server.port, "/facts/"), "serves", 30)
    server.at_once("/wait/", 10)
    server.at_once("/fan-out/", 1)
    assert server.facts()["class"] == (OURS if kind == "ours" else STOCK)
    assert server.text.count(LINE) == (0 if kind == "ours" else 1)
    if kind == "ours":
        until(lambda: server.has(server.ops_port, "/ready"), "ready")
