"""The soak: a short run of it on each driver, and that it sees what is wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from bench.soak import SIZE, Samples, arguments, report

ROOT = Path(__file__).resolve().parents[2]

POOL = {"in_use": 0, "connecting": 0, "discarding": 0, "waiting": 0}
RIGHT = {
    "numbers": 10,
    "wrong": 0,
    "stuck": 0,
    "torn": 0,
    "lost": 0,
    "pool": POOL,
    "done": {"ask": 1},
    "errors": {},
    "unexpected": [],
}


@pytest.mark.soak
@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "driver", ["psycopg3", "psycopg2", pytest.param("pymysql", marks=pytest.mark.mariadb)]
)
def test_a_short_soak(driver, request):
    """60,000 random numbers with kills, deadlines and restarts: each answer is the right one."""
    options = ["--driver", driver, "--seconds", "10", "--restart-every", "3"]
    if driver == "pymysql":
        server = request.getfixturevalue("mariadb")
        where = f"{quote(server.password)}@{server.host}:{server.port}/{server.databases[0]}"
        options += ["--url", f"mysql://{server.user}:{where}"]
    done = subprocess.run(
        [sys.executable, "-m", "bench.soak", *options, "--numbers", "60000"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    asked = done.stdout.split("numbers asked for")[1].split()[0]
    assert int(asked.replace(",", "")) >= 60_000
    assert driver == "pymysql" or "restarts of the server     0" not in done.stdout


def test_what_is_right_is_called_right(capsys):
    """The table has no mark in it."""
    assert report("psycopg3", RIGHT, Samples([60.0] * 8, [20] * 8, [SIZE]), 1)
    assert "WRONG" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"wrong": 1}, "wrong answers"),
        ({"lost": 1}, "rows lost"),
        ({"torn": 1}, "transactions half written"),
        ({"stuck": 1}, "clients stuck"),
        ({"pool": {**POOL, "in_use": 1}}, "pool at the end"),
        ({"unexpected": ["ValueError()"]}, "errors unexpected"),
    ],
)
def test_what_is_wrong_is_called_wrong(capsys, change, name):
    """Each thing that must not happen fails the run, and is marked in the table."""
    assert not report("psycopg3", {**RIGHT, **change}, Samples([60.0] * 8, [20] * 8, [1]), 1)
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "WRONG" in line]
    assert name in line


@pytest.mark.parametrize(
    ("samples", "name"),
    [
        (Samples([float(mb) for mb in range(60, 100)], [20] * 40, [1]), "memory grown by"),
        (Samples([60.0] * 40, list(range(20, 60)), [1]), "descriptors grown by"),
        (Samples([60.0] * 40, [20] * 40, [1, SIZE + 1]), "most sessions"),
    ],
)
def test_growth_is_called_wrong(capsys, samples, name):
    """Memory, descriptors and sessions have to stay flat."""
    assert not report("psycopg3", RIGHT, samples, 1)
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "WRONG" in line]
    assert name in line


def test_the_seconds_are_for_all_drivers_together():
    """Ten minutes by default."""
    options = arguments([])
    assert options.seconds * len(options.driver) == 600
    assert arguments(["--driver", "psycopg2", "--seconds", "9"]).seconds == 9
