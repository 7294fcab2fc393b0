"""What `manage.py greenlets` shows of a running service."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import gevent
import pytest

from concurrency.server import folder
from concurrency.server.worker.window import read
from tests.concurrency.server.gunicorns import ROOT, STOCK
from tests.servers import until

pytestmark = pytest.mark.slow

COMMAND = """
import sys
import app_of_test
from django.core.management import call_command
call_command("greenlets", *sys.argv[1:])
"""


def run(folder, *arguments, cwd=None) -> subprocess.CompletedProcess[str]:
    """Run the command from another process."""
    return subprocess.run(
        [sys.executable, "-c", COMMAND, *arguments],
        cwd=cwd or folder,
        env={
            **os.environ,
            "PYTHONPATH": f"{ROOT}:{folder}",
            "CONCURRENCY_PATCH": "0",
            "DJANGO_SETTINGS_MODULE": "",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def shown(server, folder, *arguments) -> str:
    """Return what it prints of a service."""
    done = run(folder, "--arbiter", str(server.process.pid), *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_greenlets_are_shown_with_request_parent_wait_and_statement(start, tmp_path):
    """Also those of one worker whose hub is blocked, which tells who blocks it."""
    server = start("--timeout", "300", worker=STOCK, DJANGO_SETTINGS_MODULE="")
    asking, gathering = server.connect(), server.connect()
    asking.send("/query/120/", "X-Request-ID: asks")
    gathering.send("/gather/120/", "X-Request-ID: gathers")
    service = dict(folder.running())[server.process.pid]

    def runs() -> bool:
        return any(
            "pg_sleep" in one["sql"]
            for path in service.glob("*.sock")
            for one in read(path)["greenlets"]
        )

    until(runs, "the statement runs")
    # Not before: gunicorn closes a connection on which nothing comes for two seconds.
    server.connect().send("/stuck/", "X-Request-ID: blocks")
    server.wait_for("the hub is blocked")
    text = shown(server, tmp_path)
    assert re.search(r"\d s  .*GET /query/120/ id asks .*SELECT pg_sleep", text)
    assert re.search(r"GET /gather/120/ id gathers .* 2 children", text)
    assert len(re.findall(r"GET /gather/120/ id gathers .*Greenlet-\d+ .*sleep", text)) == 2
    assert re.search(r"GET /stuck/ id blocks .*runs, urls_of_test.py:\d+ in stuck", text)
    assert re.search(r"urls_of_test.py:\d+ in stuck, `.*`: the hub is blocked", server.text())
    (title,) = [line for line in text.splitlines() if "worker" in line]
    pattern = rf"{re.escape(str(tmp_path))} at 127.0.0.1:\d+, worker \d+: (\d+) greenlets"
    few, hidden = re.match(rf"{pattern}, and (\d+) of libraries \(--all shows", title).groups()
    everything = shown(server, tmp_path, "--all")
    (title,) = [line for line in everything.splitlines() if "worker" in line]
    assert int(re.match(pattern, title).group(1)) >= int(few) + int(hidden) - 1
    assert "Monitor" not in text


def test_workers_of_other_projects_are_left_out(start, tmp_path, tmp_path_factory):
    """Unless they are asked for."""
    server = start(worker=STOCK, DJANGO_SETTINGS_MODULE="")
    server.get()
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    done = run(tmp_path, cwd=elsewhere)
    assert done.returncode != 0
    assert f"no worker of {elsewhere} is running; --all shows" in done.stderr
    assert str(tmp_path) in run(tmp_path, "--all", cwd=elsewhere).stdout
    assert str(tmp_path) in run(tmp_path).stdout


def test_the_socket_is_gone_when_the_service_is(start):
    """And nobody else could have entered its folder."""
    with tempfile.TemporaryDirectory() as runtime:  # pytest's own are too deep for a socket
        server = start(CONCURRENCY_RUNTIME_FOLDER=runtime)
        server.get()
        (socket,) = Path(runtime).glob("*/*/greenlets-*.sock")
        assert socket.parent.stat().st_mode & 0o077 == 0
        assert server.terminate() == 0
        assert not list(Path(runtime).glob("*/*/*.sock"))


def test_a_worker_that_ends_while_it_is_asked_has_ended(tmp_path):
    """There is no answer, and no traceback."""
    path = tmp_path / "worker-1.socket"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        ending = gevent.spawn(lambda: listener.accept()[0].close())
        with pytest.raises(ConnectionResetError):
            gevent.get_hub().threadpool.apply(read, (path,))
        ending.join()
