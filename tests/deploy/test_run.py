"""`make run` in a copy of the checkout: first and second start, and every way it ends."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
import requests

from deploy.cluster import free_port, is_free
from tests.fleet import new_database
from tests.helpers import until

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("concurrency", "deploy", "example_site", "settings")
COPIED_FILES = (
    *(".env.template", "Makefile", "Procfile", "gunicorn.conf.py", "manage.py", "wsgi.py"),
)
PORTS = {"frontend": 0, "admin": 1, "user": 10, "welcome": 20, "tweets": 30}  # from the first
LIMIT = 60.0  # seconds until what a test waits for has to be so

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@dataclass
class Run:
    """A process that runs the site, and what it has said so far."""

    process: subprocess.Popen[str]
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        threading.Thread(target=self._read, daemon=True).start()

    def until(self, what: str) -> str:
        """Return what it said when `what` is in it."""
        until(
            lambda: what in self.text or self.process.poll() is not None, f"it says {what!r}", LIMIT
        )
        assert what in self.text, self.text
        return self.text

    def ended(self) -> int:
        """Return its exit code when it has ended."""
        until(lambda: self.process.poll() is not None, "it ends", LIMIT)
        return self.process.returncode

    @property
    def text(self) -> str:
        """All that it said."""
        return "".join(self.said)

    @property
    def children(self) -> list[int]:
        """The processes that it started itself."""
        pid = self.process.pid
        return [int(x) for x in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line)


@dataclass(frozen=True)
class Checkout:
    """A copy of the checkout, with a port of its own."""

    root: Path
    port: int

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a person who has set nothing but the port, and is in a hurry."""
        passed = {key: os.environ[key] for key in ("PATH", "HOME", "TMPDIR") if key in os.environ}
        return {**passed, "PORT": str(self.port), "CONCURRENCY_NO_OPS": "true"}

    @contextmanager
    def run(self, *command: str, **environment: str) -> Iterator[Run]:
        """Start `python -m deploy.run`, or another command, as a terminal's foreground job."""
        with subprocess.Popen(
            command or (sys.executable, "-m", "deploy.run"),
            cwd=self.root,
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                yield Run(process)
            finally:
                if process.poll() is None:
                    process.terminate()

    def localdb(self, verb: str) -> str:
        """Run the command line of the local PostgreSQL and return what it prints."""
        return subprocess.run(
            [sys.executable, "-m", "deploy.localdb", verb],
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        ).stdout.strip()

    @property
    def is_down(self) -> bool:
        """Whether neither the site nor its database runs."""
        ports_are_free = all(is_free(self.port + offset) for offset in PORTS.values())
        return ports_are_free and self.localdb("status") == "stopped"


def make_run() -> list[str]:
    """`make run` with the interpreter that runs the tests, as if it had been installed."""
    return ["make", "run", f"VENV={sys.prefix}", "-o", f"{sys.prefix}/.installed"]


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    """A copy of the checkout whose database is deleted afterwards."""
    root = tmp_path / "checkout"
    for name in COPIED:
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, root / name, ignore=ignore)
    for name in COPIED_FILES:
        shutil.copy2(ROOT / name, root / name)
    port = next(
        port
        for port in iter(free_port, None)
        if all(is_free(port + offset) for offset in PORTS.values())
    )
    copy = Checkout(root, port)
    yield copy
    copy.localdb("delete")


def test_make_run_twice(checkout: Checkout) -> None:
    """From nothing to pages; Ctrl-C ends all of it; a second time the data are still there, and a
    polite kill ends it as well."""
    base = f"http://127.0.0.1:{checkout.port}"
    with checkout.run(*make_run(), CONCURRENCY_NO_OPS="") as run:
        said = run.until("Ctrl-C ends it.")
        lines = [line for line in said.splitlines() if " | " in line]
        assert any("Booting worker" in line for line in lines)
        times = [re.findall(r"\d\d:\d\d:\d\d", line) for line in lines]
        assert {len(found) for found in times} == {1}, "each has one time"
        assert "favicon" not in said, "and none is about a request of its own"
        ops = f"http://127.0.0.1:{checkout.port + 1000}"
        assert requests.get(f"{ops}/startup", timeout=10).json()["status"] == "ok"
        assert f"curl -u user:password '{base}/ten-slow-requests/'" in said
        answer = requests.get(
            f"{base}/ten-slow-requests/?seconds=0", auth=("user", "password"), timeout=30
        )
        assert answer.text.split() == [str(x * x) for x in range(1, 11)]
        page = requests.get(f"{base}/?person=sherlock&lang=es&tod=18:03:09", timeout=30).text
        assert "Buenas tardes, Sherlock Holmes." in page
        for url, words in re.findall(r"^  (http\S+)  +(\S.*)$", said, re.MULTILINE):
            answer = requests.get(url, auth=("user", "password"), params={"seconds": 0}, timeout=30)
            assert answer.status_code == 200, (url, words, answer.text)
        with psycopg.connect(checkout.localdb("url"), autocommit=True) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS x")
        os.killpg(run.process.pid, signal.SIGINT)
        run.ended()
    assert checkout.is_down
    assert stat.S_IMODE((checkout.root / ".env").stat().st_mode) == 0o600
    before = (checkout.root / ".env").read_text()
    assert re.search(r"^SECRET_KEY=\S{50,}$", before, re.MULTILINE)

    with checkout.run() as run:
        run.until("Ctrl-C ends it.")
        with psycopg.connect(checkout.localdb("url")) as connection:
            assert connection.execute("SELECT x FROM kept").fetchone() == (7,)
        run.process.terminate()
        assert run.ended() == 0, run.text
    assert checkout.is_down
    assert (checkout.root / ".env").read_text() == before


def test_ctrl_c_before_it_is_up(checkout: Checkout) -> None:
    """Ctrl-C while it starts ends what there is by then."""
    with checkout.run() as run:
        run.until("PostgreSQL listens")
        os.killpg(run.process.pid, signal.SIGINT)
        assert run.ended() == 0, run.text
    assert checkout.is_down
    assert "Ctrl-C ends it." not in run.text


def pids(checkout: Checkout, service: str) -> list[int]:
    """Return the processes of one of the services."""
    wanted = f"PORT={checkout.port + PORTS[service]}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return sorted(found)


@pytest.mark.parametrize("victim", ["user", "honcho"])
def test_one_that_dies_takes_the_rest_along(
    checkout: Checkout, postgres_url: str, victim: str
) -> None:
    """When a service is killed, or what started them, all end, and the exit code says so; with a
    DATABASE_URL no server of our own is started for them."""
    with checkout.run(DATABASE_URL=new_database(postgres_url, "run")) as run:
        said = run.until("Ctrl-C ends it.")
        process = run.children[0] if victim == "honcho" else pids(checkout, victim)[0]
        os.kill(process, signal.SIGKILL)
        assert run.ended() == 1
    assert "A service ended by itself" in run.text
    assert checkout.is_down
    assert "PostgreSQL listens" not in said
    assert checkout.localdb("url") == ""


def test_a_database_that_ran_before_goes_on(checkout: Checkout) -> None:
    """Only what it started is stopped, also when its terminal is closed: `make db` in another
    terminal outlives it."""
    checkout.localdb("start")
    with checkout.run() as run:
        run.until("Ctrl-C ends it.")
        run.process.send_signal(signal.SIGHUP)
        assert run.ended() == 0
    assert checkout.localdb("status").startswith("running")


@pytest.mark.parametrize("service", ["frontend", "welcome"])
def test_a_port_in_use_is_said_plainly(checkout: Checkout, service: str) -> None:
    """A port that somebody uses is one sentence that says what to do; nothing is started."""
    taken = checkout.port + PORTS[service]
    with socket.create_server(("127.0.0.1", taken)), checkout.run() as run:
        assert run.ended() == 1
    complaint = run.text.splitlines()[-1]
    assert complaint.startswith(f"Port {taken} on 127.0.0.1, of the service {service}, is in use.")
    assert f"PORT={checkout.port + 100} make run" in complaint
    assert checkout.localdb("status") == "stopped"


def test_settings_that_are_wrong_are_said_plainly(checkout: Checkout) -> None:
    """A wrong key is one line of its own, without a traceback, and nothing is left running."""
    with checkout.run(DATABASE_POOL_MAX_SIZE="many") as run:
        assert run.ended() == 1
    assert "DATABASE_POOL_MAX_SIZE is 'many', not a whole number." in run.text
    assert "Traceback" not in run.text
    assert checkout.is_down


def test_a_database_port_that_is_none_is_said_plainly(checkout: Checkout) -> None:
    """A LOCAL_DB_PORT that is no port is one sentence, not a traceback."""
    with checkout.run(LOCAL_DB_PORT="soon") as run:
        assert run.ended() == 1
    assert run.text.splitlines()[-1].startswith("LOCAL_DB_PORT is 'soon', not a port.")


@pytest.mark.parametrize("name", ["production", "settings.nope", "settings.production"])
def test_an_environment_that_cannot_be_starts_no_database(checkout: Checkout, name: str) -> None:
    """Settings that do not exist, or want a DATABASE_URL, are refused before PostgreSQL starts."""
    with checkout.run(ENVIRONMENT=name) as run:
        assert run.ended() == 1
    assert "settings.production" in run.text if name == "production" else "is" in run.text
    assert "PostgreSQL" not in run.text
    assert "Traceback" not in run.text
    assert checkout.localdb("url") == ""
