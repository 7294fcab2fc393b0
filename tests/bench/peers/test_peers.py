"""The comparison from end to end, too short to measure anything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from bench.command import Need
from bench.peers.__main__ import main
from bench.peers.catalogue import PEERS
from bench.peers.running import Cores, on, process, wait_for
from bench.peers.works import WORKS
from bench.server import ServerError
from deploy.cluster import free_port

ROOT = Path(__file__).resolve().parents[3]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200)]

# As if it were not installed: find_spec finds nothing.
WITHOUT = """
import runpy, sys
sys.modules[sys.argv.pop(1)] = None
runpy.run_module("bench.peers", run_name="__main__", alter_sys=True)
"""


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python as a user does."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=190,
        check=False,
    )


def test_two_peers_are_measured(postgres_url: str, tmp_path: Path) -> None:
    """Both answer all works without errors, on no more connections than they may open."""
    options = ["--only", "granian-4,ours", "--work", "one,ten,idle", "--seconds", "0.5"]
    options += ["--rounds", "1", "--json", str(tmp_path / "found.json")]
    done = run("-m", "bench.peers", *options, DATABASE_URL=postgres_url)
    assert (tmp_path / "found.json").is_file(), done.stdout + done.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    samples = {(one["peer"], one["work"]): one for one in found["samples"]}
    assert len(samples) == len(found["samples"]) == 6
    for one in samples.values():
        assert one["problem"] == ""
        assert one["work"] == "idle" or set(one["statuses"]) == {"200"}
        assert one["memory_mb"] > 1
    assert samples["granian-4", "one"]["connections"] in range(1, 5)
    assert samples["ours", "one"]["connections"] in range(1, 22)
    assert samples["ours", "one"]["p50_ms"] <= samples["ours", "one"]["p99_ms"]
    assert samples["ours", "idle"]["idle_kb"] > 0
    assert found["command"] == (
        "python -m bench.peers --seconds 0.5 --rounds 1 --only ours,granian-4 --work one,ten,idle"
    )
    # Whether the limits are kept is for who measures for longer.
    assert done.returncode == (0 if all(limit["kept"] for limit in found["limits"]) else 1)
    assert "one short query: rate to that of the best granian" in done.stdout


def test_a_peer_that_is_not_installed_is_named(postgres_url: str, tmp_path: Path) -> None:
    """The command that installs it is printed, and the others are measured."""
    options = ["--only", "gthread,granian-1", "--work", "beside", "--seconds", "0.2"]
    options += ["--rounds", "1", "--json", str(tmp_path / "found.json")]
    done = run("-c", WITHOUT, "granian", *options, DATABASE_URL=postgres_url)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "granian, 1 thread is not installed. Install it: pip install 'granian'" in done.stdout
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["missing"] == {"granian-1": "pip install 'granian'"}
    assert [one["peer"] for one in found["samples"]] == ["gthread"]
    assert found["surroundings"]["versions"]["gunicorn"]


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        (("--only", "ours,apache"), "unknown: apache; known are ours, "),
        (("--work", "everything"), "unknown: everything; known are nothing, "),
        (("--seconds", "0"), "0 is not above zero"),
        (("--seconds", "nan"), "nan is not above zero"),
        (("--rounds", "many"), "invalid number value: 'many'"),
        (("--json", "/no/such/folder/found.json"), "No such file or directory"),
        (("--read", "/no/such/found.json"), "No such file or directory"),
        (("--read", "README.md"), "README.md: "),
        (("--docs", "--only", "ours"), "--docs needs all peers and works"),
    ],
)
def test_wrong_options_are_refused(
    option: tuple[str, ...], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is started, with what would be right."""
    with pytest.raises(SystemExit) as ended:
        main(list(option))
    assert ended.value.code == 2
    assert complaint in " ".join(capsys.readouterr().err.split())


def test_what_is_missing_has_its_command() -> None:
    """The first that is missing is named, and nothing when all is there."""
    there = Need("json", "nothing", modules=("json",))
    absent = Need("a rival", "pip install rival", modules=("no_such_rival",))
    assert replace(PEERS["ours"], needs=(there,)).missing is None
    assert replace(PEERS["ours"], needs=(there, absent)).missing == "pip install rival"


def test_more_threads_than_connections_share_a_pool() -> None:
    """A connection for each thread would be more than the peer may open."""
    kept, pooled = (
        PEERS[name].environment(WORKS["one"])["PEER_CONNECTIONS"]
        for name in ("granian-16", "granian-50")
    )
    assert (kept, pooled) == ("kept", "django")


def test_a_server_that_fails_tells_its_log() -> None:
    """It is one error, which has the end of what the server has printed."""
    arguments = ["-c", "import sys; sys.exit('no such thing')"]
    with (
        pytest.raises(ServerError, match="no such thing"),
        process(arguments, {}, Cores.of_this_process().server) as running,
    ):
        wait_for(running, free_port(), "/", "")


def test_a_server_has_its_core_and_ends_with_its_children() -> None:
    """It inherits the core, and those that it has started do not outlive it."""
    cores = Cores.of_this_process()
    before = os.sched_getaffinity(0)
    code = "import subprocess, time; subprocess.Popen(['sleep', '100']); time.sleep(100)"
    with process(["-c", code], {}, cores.server) as running:
        assert os.sched_getaffinity(running.pid) == cores.server
        assert os.sched_getaffinity(0) == before
        server = psutil.Process(running.pid)
        while not (children := server.children()):
            assert running.poll() is None
    # They were killed; somebody else reaps them.
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive


def test_cores_are_given_back() -> None:
    """Also when the block fails."""
    before = os.sched_getaffinity(0)
    with pytest.raises(ZeroDivisionError), on(Cores.of_this_process().others):
        raise ZeroDivisionError
    assert os.sched_getaffinity(0) == before
