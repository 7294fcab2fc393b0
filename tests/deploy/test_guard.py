"""What test runs and benchmarks start and write goes with them, however they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from deploy import processes
from tests.helpers import until

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 30.0  # seconds until nothing is left

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

# It has a server that is frozen, another process, and waits.
RUN = """
import os, signal, subprocess, sys, time
from pathlib import Path
from deploy import guard, processes
from deploy.localdb import LocalPostgres
folder = guard.start("guarded-")
server = LocalPostgres(folder / "postgresql", temporary=True)
server.start()
other = subprocess.Popen(["sleep", "600"], start_new_session=True)
pid = server._cluster().running().pid
server_processes = [pid, *processes.children(pid)]
for each in server_processes:
    os.kill(each, signal.SIGSTOP)
print(server._cluster().folder, other.pid, *server_processes, flush=True)
time.sleep(600)
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder for temporary files which servers that refuse to run as root can reach."""
    with tempfile.TemporaryDirectory(prefix="place-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


def test_a_killed_run_leaves_neither_a_frozen_server_nor_a_folder(place: Path) -> None:
    """SIGKILL, while its PostgreSQL is stopped by a signal, leaves no process and no data."""
    with subprocess.Popen(
        [sys.executable, "-c", RUN],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(place)},
        stdout=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stdout is not None
        data, *pids = run.stdout.readline().split()
        assert Path(data).is_dir()
        run.kill()
        run.stdout.close()
    until(lambda: not any(psutil.pid_exists(int(pid)) for pid in pids), "processes end", LIMIT)
    until(lambda: not any(place.iterdir()), "the folder is removed", LIMIT)
    assert not Path(data).exists()


COMMANDS = {
    "bench": ["-m", "bench", "--clients", "2"],
    "demo": ["-m", "bench.demo"],
    "lease": ["-m", "bench.lease"],
    "serving": ["-m", "bench.serving"],
    "soak": ["-m", "bench.soak"],
    "suite": ["-m", "bench.suite"],
    "waiting": ["-m", "bench.waiting"],
    "pytest": [
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "tests/concurrency/db/pool/test_leases.py",
    ],
    "tests": ["-m", "tests"],
}


def started_by(folder: Path) -> list[int]:
    """Return the processes whose temporary files are in a folder."""
    return list(processes.those_with("TMPDIR", f"{folder}/"))


CASES = [(name, signal.SIGTERM) for name in COMMANDS]
CASES += [(name, signal.SIGINT) for name in ("bench", "soak", "suite", "pytest", "tests")]
# One with servers of two kinds, one that starts others of these, one that starts test runs.
SAMPLE = [("soak", signal.SIGTERM), ("suite", signal.SIGINT), ("tests", signal.SIGTERM)]


@pytest.mark.mariadb
@pytest.mark.parametrize(
    ("name", "number"),
    [pytest.param(*case, marks=() if case in SAMPLE else pytest.mark.thorough) for case in CASES],
)
def test_a_run_that_is_told_to_end_leaves_nothing(
    place: Path, name: str, number: signal.Signals
) -> None:
    """SIGTERM and Ctrl-C end each command with all that it has started, without a traceback."""
    environment = {key: value for key, value in os.environ.items() if "COVERAGE" not in key}
    environment |= {"TMPDIR": str(place), "PYTEST_DEBUG_TEMPROOT": tempfile.gettempdir()}
    environment |= {"DATABASE_URL": "", "TEST_PROCESSES": "2"}
    with subprocess.Popen(
        [sys.executable, *COMMANDS[name]],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as run:
        try:
            # The suite's first part starts nothing of its own.
            enough = 1 if name == "suite" else 2
            until(lambda: len(started_by(place)) >= enough, "it has started something", 60)
            # As a terminal does with Ctrl-C, or a supervisor with SIGTERM.
            (os.killpg if number == signal.SIGINT else os.kill)(run.pid, number)
            printed, _ = run.communicate(timeout=60)
        finally:
            run.kill()
    assert "Traceback" not in printed, printed
    assert run.returncode != 0
    until(lambda: not started_by(place), "all processes end", LIMIT)
    until(lambda: not any(place.iterdir()), "all folders are removed", LIMIT)
