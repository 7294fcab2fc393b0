"""A project of a few lines under `manage.py serve`, and who asks it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.cluster import free_port
from tests.concurrency.server.served_files import FILES
from tests.servers import until

ROOT = Path(__file__).resolve().parents[3]


def write_project(folder: Path) -> Path:
    """Write the project of the tests into a folder."""
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def environment(folder: Path, **variables: str) -> dict[str, str]:
    """Return the environment of its processes."""
    return {
        **os.environ,
        "PYTHONPATH": f"{ROOT}:{folder}",
        "DJANGO_SETTINGS_MODULE": "settings_of_test",
        **variables,
    }


def ask(
    port: int,
    path: str,
    *,
    method: str = "GET",
    body: Any = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = 30.0,
) -> tuple[int, bytes]:
    """Return status and body of an answer; raise OSError where nobody answers."""
    with contextlib.closing(
        http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    ) as connection:
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()


class Served:
    """`manage.py serve` of the project, on free ports.

    Args:
        folder: where the project is written.
        arguments: those of `serve`.
        redirection: of its output, as a shell takes it.
        variables: more environment.
    """

    def __init__(
        self, folder: Path, *arguments: str, redirection: str = "", **variables: str
    ) -> None:
        self.folder = write_project(folder)
        self.port, self.ops_port = free_port(), free_port()
        self._log = folder / "log"
        self._arguments = arguments
        self._redirection = redirection
        self._variables = {
            "CONCURRENCY_PORT": str(self.port),
            "CONCURRENCY_OPS_PORT": str(self.ops_port),
            "CONCURRENCY_RUNTIME_FOLDER": str(folder),
            **variables,
        }
        self.start()

    def start(self) -> None:
        """Start it, also again."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *("sh", "-c", f'exec "$@" {self._redirection}', "sh"),
                    *(sys.executable, "-W", "error", "manage.py", "serve", *self._arguments),
                ],
                cwd=self.folder,
                env=environment(self.folder, **self._variables),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *error: object) -> None:
        # All of its session: workers and ops process, should one have outlived it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    @property
    def text(self) -> str:
        """What it has printed."""
        return self._log.read_text()

    def says(self, what: str, count: int = 1) -> None:
        """Wait until it has printed something."""
        until(lambda: self.text.count(what) >= count, f"{what!r} in {self._log}")

    def is_ready(self) -> Served:
        """Wait until it gets requests."""

        def ready() -> bool:
            assert self.process.poll() is None, f"it has ended: {self.text}"
            return self.status("/ready") == 200

        try:
            until(ready, "ready")
        except AssertionError as error:
            error.add_note(self.text)
            raise
        return self

    def get(self, path: str = "/", **more: Any) -> tuple[int, bytes]:
        """Ask the application."""
        return ask(self.port, path, **more)

    def probe(self, path: str) -> tuple[int, dict[str, Any]]:
        """Ask the ops port."""
        status, body = ask(self.ops_port, path)
        return status, json.loads(body)

    def status(self, path: str) -> int:
        """Return the status of a probe; 0 where nobody answers."""
        try:
            return ask(self.ops_port, path)[0]
        except OSError:
            return 0

    def metric(self, name: str) -> float:
        """Return a metric by name and labels as the page has them; 0.0 if it is not there."""
        page = ask(self.ops_port, "/metrics")[1].decode()
        found = re.search(rf"^{re.escape(name)} (\S+)$", page, re.MULTILINE)
        return float(found[1]) if found else 0.0

    def ops_process(self) -> int:
        """Return the pid of the ops process."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        for pid in map(int, children.split()):
            if b"concurrency.server.ops" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
        raise LookupError("there is no ops process")

    def ends(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=60)


def run(folder: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `manage.py` of the project, or of one that is written there."""
    return subprocess.run(
        [sys.executable, "-W", "error", "manage.py", *command],
        cwd=folder,
        env=environment(folder, **variables),
        capture_output=True,
        text=True,
        timeout=60,
    )


def alive(pid: int) -> bool:
    """Return whether a process runs; one that nobody has waited for does not."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False
