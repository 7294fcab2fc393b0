"""The soak: a minute of it on all drivers, and that it sees what is wrong."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.soak.__main__ import SIZE, arguments
from bench.soak.report import Samples, report
from bench.soak.servers import SERVERS

ROOT = Path(__file__).resolve().parents[2]

POOL = {"in_use": 0, "connecting": 0, "discarding": 0, "waiting": 0}
RIGHT = {
    "wanted": 10,
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


@pytest.mark.slow
@pytest.mark.mariadb
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("seconds", "restart_every", "numbers"),
    [
        pytest.param(15, 5, 3_000, id="short"),
        pytest.param(60, 12, 60_000, id="minute", marks=pytest.mark.thorough),
    ],
)
def test_a_soak_finds_nothing(seconds: int, restart_every: int, numbers: int) -> None:
    """Each driver answers right through kills, deadlines and restarts of its server."""
    # At full speed: what the traffic runs through is covered by other tests.
    environment = {name: value for name, value in os.environ.items() if "COVERAGE" not in name}
    done = subprocess.run(
        [sys.executable, "-m", "bench.soak", "--seconds", str(seconds)]
        + ["--restart-every", str(restart_every), "--numbers", str(numbers)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.findall(r"^(\w+)$", done.stdout, re.MULTILINE) == list(SERVERS)
    restarts = [int(n) for n in re.findall(r"restarts of the server +(\d+)", done.stdout)]
    assert min(restarts[:3]) > 0


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_soak_through_http_finds_nothing() -> None:
    """Every kind of client gets right answers, and nothing else is in the table."""
    environment = {name: value for name, value in os.environ.items() if "COVERAGE" not in name}
    done = subprocess.run(
        [sys.executable, "-m", "bench.http_soak", "--seconds", "5"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    kinds = re.findall(r"^([a-z ]+?) +[1-9]\d* *$", done.stdout, re.MULTILINE)
    assert len(kinds) == 7, done.stdout


def test_what_is_right_is_called_right(capsys):
    """The table has no mark in it."""
    assert report("psycopg3", RIGHT, Samples([60.0] * 8, [20] * 8, [SIZE]), SIZE)
    assert "WRONG" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"numbers": 9}, "numbers asked for"),
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
    assert not report("psycopg3", {**RIGHT, **change}, Samples([60.0] * 8, [20] * 8, [1]), SIZE)
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
    assert not report("psycopg3", RIGHT, samples, SIZE)
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "WRONG" in line]
    assert name in line


def test_a_soak_is_ten_minutes_on_all_drivers():
    """Unless something else is asked for."""
    options = arguments([])
    assert (options.seconds, options.driver) == (600, list(SERVERS))
    assert arguments(["--driver", "psycopg2", "--seconds", "9"]).driver == ["psycopg2"]
