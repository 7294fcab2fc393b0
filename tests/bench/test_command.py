"""How the commands of `bench` begin: with a look for what they need."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from bench import command, screenshot, suite
from deploy.cluster import free_port
from tests.helpers import until

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("bench.lease", "MariaDB is missing. Install it: apt-get install mariadb-server"),
        ("bench.screenshot", "Chromium is missing. Install it: apt-get install chromium"),
    ],
)
def test_a_command_without_its_program_says_so(tmp_path: Path, module: str, line: str) -> None:
    """One line names what is missing and how it is installed; nothing was started before."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", module],
        cwd=ROOT,
        env={**os.environ, "PATH": str(tmp_path), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (2, f"python -m {module}: {line}\n")
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_a_module_that_is_missing_is_named() -> None:
    """As a program is, the first one of several."""
    there = command.Need("json", "nothing", modules=("json",))
    absent = command.Need("a rival", "pip install rival", modules=("no_such_rival",))
    assert command.missing(there) is None
    assert command.missing(there, absent) == "a rival is missing. Install it: pip install rival"


def test_a_part_that_fails_keeps_no_other_from_running(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """All parts of `make bench` run, and the exit code is 1 when one has failed."""
    monkeypatch.setattr(suite, "PARTS", ("no_such_part", "aio_soak"))
    assert suite.main([]) == 1
    printed = capfd.readouterr().out
    assert "[1/2] python -m bench.no_such_part" in printed
    assert "[2/2] python -m bench.aio_soak" in printed
    first, second = printed.splitlines()[-2:]
    assert first.endswith("failed with exit code 1")
    assert second.endswith("ok")


def test_pictures_of_the_readme_are_not_overwritten() -> None:
    """They go to a folder that git ignores, unless somebody asks for the other."""
    assert screenshot.FOLDER.is_relative_to(ROOT / "bench" / "results")
    assert "bench/results/" in (ROOT / ".gitignore").read_text().split()


def test_the_page_of_locust_is_on_loopback() -> None:
    """Nobody on the network can start load from this machine."""
    port = free_port()
    with subprocess.Popen(
        [sys.executable, "-m", "locust", "-f", "bench/locustfile.py", "--web-port", str(port)]
        + ["--host", "http://127.0.0.1:1", "--loglevel", "ERROR"],
        cwd=ROOT,
    ) as locust:
        try:
            process = psutil.Process(locust.pid)

            def listening() -> set[str]:
                found = process.net_connections()
                return {one.laddr.ip for one in found if one.status == psutil.CONN_LISTEN}

            until(lambda: bool(listening()), "it listens", 40)
            assert listening() == {"127.0.0.1"}
        finally:
            locust.kill()
