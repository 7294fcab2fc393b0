"""What `manage.py greenlets` shows of a running service."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from concurrency.server import folder
from concurrency.server.window import read
from tests.concurrency.server.gunicorns import ROOT, STOCK
from tests.servers import until

pytestmark = pytest.mark.slow

COMMAND = """
import sys
import app_of_test
from django.core.management import call_command
call_command("greenlets", arbiter=int(sys.argv[1]))
"""


def shown(server, folder) -> str:
    """Return what the command prints, run from another process."""
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, str(server.process.pid)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{folder}", "CONCURRENCY_PATCH": "0"},
        capture_output=True,
        text=True,
        check=False,
        timeout=10,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_greenlets_are_shown_with_request_parent_wait_and_statement(start, tmp_path):
    """Also those of one worker whose hub is blocked, which tells who blocks it."""
    server = start(worker=STOCK)
    asking, gathering, blocking = (server.connect() for _ in range(3))
    asking.send("/query/20/", "X-Request-ID: asks")
    gathering.send("/gather/20/", "X-Request-ID: gathers")
    service = dict(folder.running())[server.process.pid]

    def runs() -> bool:
        return any(
            "pg_sleep" in one["sql"] for path in service.glob("*.sock") for one in read(path)
        )

    until(runs, "the statement runs")
    blocking.send("/block/4/", "X-Request-ID: blocks")
    server.wait_for("hub is blocked")
    text = shown(server, tmp_path)
    assert re.search(r"\d s  .*GET /query/20/ id asks .*SELECT pg_sleep", text)
    assert re.search(r"GET /gather/20/ id gathers .* 2 children", text)
    assert len(re.findall(r"GET /gather/20/ id gathers .*Greenlet-\d+ .*sleep", text)) == 2
    assert re.search(r"GET /block/4/ id blocks .*runs, urls_of_test.py:\d+ in block", text)


def test_the_socket_is_gone_when_the_service_is(start):
    """And nobody else could have entered its folder."""
    with tempfile.TemporaryDirectory() as runtime:  # pytest's own are too deep for a socket
        server = start(CONCURRENCY_RUNTIME_FOLDER=runtime)
        server.get()
        (socket,) = Path(runtime).glob("*/*/greenlets-*.sock")
        assert socket.parent.stat().st_mode & 0o077 == 0
        assert server.terminate() == 0
        assert not list(Path(runtime).glob("*/*/*.sock"))
