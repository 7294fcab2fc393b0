"""The measurements from end to end, each too short to measure anything."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from bench.database import scratch
from bench.pages import visit_pages
from tests.helpers import until

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a module as a user does, with warnings as errors."""
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=80,
        check=False,
    )


def test_the_locustfile_is_a_clean_import() -> None:
    """Importing the locustfile alone patches in time and warns of nothing."""
    code = (
        "import bench.locustfile, concurrency.patch as patch;"
        "assert patch.is_patched() and not patch.late_modules()"
    )
    done = run("-c", code)
    assert (done.returncode, done.stderr) == (0, "")


def test_locust_finds_the_users() -> None:
    """Locust itself, which has imported a lot before, lists both classes."""
    done = run("-m", "locust", "-f", "bench/locustfile.py", "--list", PYTHONWARNINGS="default")
    assert done.returncode == 0, done.stderr
    assert {"SlowSQL", "TenSlowRequests"} <= set(done.stdout.split())


@pytest.mark.parametrize("user", ["SlowSQL", "TenSlowRequests"])
def test_a_load_leaves_its_results(postgres_url: str, tmp_path: Path, user: str) -> None:
    """A run prints its report and leaves it with Locust's files and the facts of the machine."""
    options = ["--duration", "12", "--warm-up", "2", "--ramp", "1", "--clients", "2"]
    options += ["--pool", "20"]
    options += ["--seconds", "0.05", "--user", user, "--results", str(tmp_path)]
    done = run("-m", "bench", *options, DATABASE_URL=postgres_url, PYTHONWARNINGS="default")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "share of the ideal" in done.stdout
    assert "measuring for 12 s" in done.stdout
    (folder,) = tmp_path.iterdir()
    names = {file.name for file in folder.iterdir()}
    assert {"env.json", "report.txt", "load_stats.csv", "load.html", "server.log"} <= names
    known = json.loads((folder / "env.json").read_text())
    assert known["scenario"]["user"] == user
    assert known["versions"]["gevent"]
    assert known["machine"]["cores"] == os.cpu_count()


def test_a_load_with_errors_fails(postgres_url: str, tmp_path: Path) -> None:
    """Answers that are wrong make the exit code 1, and are counted."""
    options = ["--duration", "6", "--warm-up", "1", "--ramp", "1", "--clients", "2"]
    options += ["--seconds", "21", "--results", str(tmp_path)]
    done = run("-m", "bench", *options, DATABASE_URL=postgres_url, PYTHONWARNINGS="default")
    assert done.returncode == 1
    assert "answers were errors" in done.stdout


def test_the_demonstration_prints_its_table(postgres_url: str) -> None:
    """The five visits are right, on ten connections, and nothing else is counted as theirs."""
    done = run("-m", "bench.demo", "--seconds", "0.2", "--no-pages", DATABASE_URL="")
    # Whether it was in time as well is for who looks at the table on a machine of their own.
    assert "status" not in done.stdout, done.stdout + done.stderr
    rows = [line for line in done.stdout.splitlines() if line.endswith("  10")]
    assert len(rows) == 5, done.stdout
    assert "/ten-slow-requests/, cold" in done.stdout


def test_the_demonstration_fails_when_it_is_slow(postgres_url: str) -> None:
    """Statements of a millisecond cannot be answered in 1.2 of them: the exit code is 1."""
    options = ("--seconds", "0.001", "--no-pages")
    done = run("-m", "bench.demo", *options, DATABASE_URL=postgres_url)
    assert done.returncode == 1
    assert "more than 1.2 times the ideal" in done.stdout


def test_pages_are_compared_with_their_calls(postgres_url: str) -> None:
    """Pages whose services are slow are right, and their calls are made one by one beside them."""
    with scratch(postgres_url) as url:
        visits = visit_pages(url, delay=0.1)
    assert [(visit.name, visit.complaint) for visit in visits] == [("/", ""), ("/everyone/", "")]
    front, everyone = visits
    # Each answer takes 0.1 s at least, and a page needs the first ones to ask for the last.
    assert front.sequential >= 0.3
    assert everyone.sequential >= 1.4
    assert min(front.measured, everyone.measured) >= 0.2


def test_the_cost_of_a_fan_out_is_compared() -> None:
    """The comparison prints both costs and their ratio, and fails when that is above 2."""
    done = run("-m", "bench.fanout", "--calls", "200", "--rounds", "5")
    assert done.stderr == ""
    rows = dict(re.findall(r"^(.+?)  +(\d+\.\d\d us +\d+\.\d\d)$", done.stdout, re.MULTILINE))
    assert set(rows) == {"gevent.spawn + joinall", "map_each"}, done.stdout
    (raw, one), (ours, ratio) = (
        [float(number) for number in row.split(" us ")] for row in rows.values()
    )
    assert one == 1.0
    assert ratio == pytest.approx(ours / raw, abs=0.02)  # as far as what is printed is rounded
    assert done.returncode == (ratio > 2) or ratio == 2.0


def test_waiting_is_compared_with_psycopg(postgres_url: str) -> None:
    """Each is measured in a process of its own, and no session of theirs is left asleep."""
    options = ["--greenlets", "20", "--seconds", "0.3"]
    done = run("-m", "bench.waiting", *options, DATABASE_URL=postgres_url)
    assert done.stderr == ""
    assert re.search(r"concurrency +\d+\.\d\d%\npsycopg as it comes +\d+\.\d\d%", done.stdout)
    with psycopg.connect(postgres_url, autocommit=True) as observer:
        sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'waiting-%'"
        until(lambda: observer.execute(sessions).fetchone() == (0,), "its sessions are gone")
