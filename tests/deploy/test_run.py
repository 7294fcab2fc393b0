"""`make run` in a copy of the checkout: first and second start, and every way it ends."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
import requests

from deploy.cluster import free_port, is_free

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("concurrency", "deploy", "example_site", "settings")
COPIED_FILES = (".env.template", "Makefile", "gunicorn.conf.py", "manage.py", "wsgi.py")
LIMIT = 30.0  # seconds until what a test waits for has to be so

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]


@dataclass
class Run:
    """A process that runs the site, and what it has said so far."""

    process: subprocess.Popen[str]
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        threading.Thread(target=self._read, daemon=True).start()

    def until(self, what: str) -> str:
        """Return what it said when `what` is in it."""
        wait(lambda: what in self.text or self.process.poll() is not None, f"it says {what!r}")
        assert what in self.text, self.text
        return self.text

    def ended(self) -> int:
        """Return its exit code when it has ended."""
        wait(lambda: self.process.poll() is not None, "it ends")
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
        """The environment of a person who has set nothing but the port."""
        passed = {key: os.environ[key] for key in ("PATH", "HOME", "TMPDIR") if key in os.environ}
        return {**passed, "PORT": str(self.port)}

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
        return is_free(self.port) and self.localdb("status") == "stopped"


def wait(condition: Callable[[], bool], what: str) -> None:
    """Return when the condition holds, or fail."""
    until = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < until, f"not so within {LIMIT} s: {what}"
        time.sleep(0.02)


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
    copy = Checkout(root, free_port())
    yield copy
    copy.localdb("delete")


def test_make_run_twice(checkout: Checkout) -> None:
    """From nothing to a page; Ctrl-C ends all of it; a second time the data are still there."""
    base = f"http://127.0.0.1:{checkout.port}"
    with checkout.run(*make_run()) as run:
        said = run.until("Ctrl-C ends it.")
        assert f"curl -u user:password '{base}/ten-slow-requests/'" in said
        answer = requests.get(
            f"{base}/ten-slow-requests/?seconds=0", auth=("user", "password"), timeout=10
        )
        assert answer.text.split() == [str(x * x) for x in range(1, 11)]
        with psycopg.connect(checkout.localdb("url"), autocommit=True) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS x")
        os.killpg(run.process.pid, signal.SIGINT)
        run.ended()
    assert checkout.is_down
    assert stat.S_IMODE((checkout.root / ".env").stat().st_mode) == 0o600
    before = (checkout.root / ".env").read_text()
    assert re.search(r"^SECRET_KEY=\S{50,}$", before, re.MULTILINE)

    with checkout.run(*make_run()) as run:
        run.until("Ctrl-C ends it.")
        with psycopg.connect(checkout.localdb("url")) as connection:
            assert connection.execute("SELECT x FROM kept").fetchone() == (7,)
        os.killpg(run.process.pid, signal.SIGINT)
        run.ended()
    assert checkout.is_down
    assert (checkout.root / ".env").read_text() == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_all_of_it(checkout: Checkout, number: signal.Signals) -> None:
    """Ctrl-C, a polite kill and a closed terminal end the site and its database, with code 0."""
    with checkout.run() as run:
        run.until("Ctrl-C ends it.")
        os.killpg(run.process.pid, number)
        assert run.ended() == 0, run.text
    assert checkout.is_down


def test_ctrl_c_before_it_is_up(checkout: Checkout) -> None:
    """Ctrl-C while it starts ends what there is by then."""
    with checkout.run() as run:
        run.until("PostgreSQL listens")
        os.killpg(run.process.pid, signal.SIGINT)
        assert run.ended() == 0, run.text
    assert checkout.is_down
    assert "Ctrl-C ends it." not in run.text


def test_a_gunicorn_that_dies_takes_the_rest_along(checkout: Checkout) -> None:
    """When gunicorn is killed, its workers and the database end too, and the exit code says so."""
    with checkout.run() as run:
        run.until("Ctrl-C ends it.")
        (gunicorn,) = run.children
        os.kill(gunicorn, signal.SIGKILL)
        assert run.ended() == 1
    assert "gunicorn ended by itself" in run.text
    assert checkout.is_down


def test_a_database_that_ran_before_goes_on(checkout: Checkout) -> None:
    """Only what it started is stopped: `make db` in another terminal outlives it."""
    checkout.localdb("start")
    with checkout.run() as run:
        run.until("Ctrl-C ends it.")
        run.process.send_signal(signal.SIGINT)
        assert run.ended() == 0
    assert checkout.localdb("status").startswith("running")


def test_a_port_in_use_is_said_plainly(checkout: Checkout) -> None:
    """A port that somebody uses is one sentence that says what to do; nothing is started."""
    with socket.create_server(("127.0.0.1", checkout.port)), checkout.run() as run:
        assert run.ended() == 1
    complaint = run.text.splitlines()[-1]
    assert complaint.startswith(f"Port {checkout.port} on 127.0.0.1 is in use.")
    assert f"PORT={checkout.port + 1} make run" in complaint
    assert checkout.is_down


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


def test_a_server_of_ones_own_is_used(checkout: Checkout, postgres_url: str) -> None:
    """With a DATABASE_URL no local server is started."""
    with checkout.run(DATABASE_URL=postgres_url) as run:
        said = run.until("Ctrl-C ends it.")
        run.process.send_signal(signal.SIGINT)
        assert run.ended() == 0
    assert "PostgreSQL listens" not in said
    assert checkout.localdb("url") == ""
