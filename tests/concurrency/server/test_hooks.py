"""What gunicorn's hooks do for its own gevent worker, in a real gunicorn."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from importlib.util import find_spec

import pytest

from deploy.cluster import free_port
from tests.concurrency.server.gunicorns import OURS, STOCK, Gunicorn
from tests.concurrency.server.served import ask
from tests.servers import until

pytestmark = pytest.mark.slow


def test_spawned_greenlets_are_waited_for_at_the_end(start):
    """Work that outlives its request is not dropped, and views are loaded before the first."""
    server = start(worker=STOCK)
    assert server.get("/work/0.8/")[2] == b"started"
    assert server.terminate() == 0
    assert "spawned work is done" in server.text()


def test_they_are_cancelled_when_they_take_too_long(start):
    """The graceful timeout is the limit, and what is cancelled is said."""
    server = start("--graceful-timeout", "2", worker=STOCK)
    assert server.get("/work/60/")[2] == b"started"
    assert server.terminate() == 0
    assert "spawned work is done" not in server.text()
    assert "1 spawned greenlets are cancelled" in server.text()


def test_an_idle_client_does_not_hold_up_the_end_of_the_stock_worker(start):
    """It ends at its next look at its clients, not after the graceful timeout."""
    server = start("--graceful-timeout", "300", "--keep-alive", "300", worker=STOCK)
    idle = server.connect()
    assert idle.get()[0] == 200
    assert server.terminate() == 0  # which has a limit far below those
    assert idle.is_closed()


def test_probes_find_settings_that_the_application_configures(start):
    """Without DJANGO_SETTINGS_MODULE the ops process asks the application's module for them."""
    port = free_port()
    server = start(
        DJANGO_SETTINGS_MODULE="", CONCURRENCY_NO_OPS="0", CONCURRENCY_OPS_PORT=str(port)
    )
    until(lambda: ask(port, "/ready")[0] == 200, "ready")
    ready = json.loads(ask(port, "/ready")[1])
    assert ready["parts"]["databases"] == {"default": "ok"}
    assert server.terminate() == 0
    assert "Traceback" not in server.text()


@pytest.mark.skipif(find_spec("h2") is None, reason="h2 is not installed")
@pytest.mark.parametrize(
    ("worker", "configuration"),
    [(OURS, "conf_of_test.py"), (STOCK, "conf_of_test.py"), (OURS, "python:bench")],
)
def test_http2_is_refused_at_the_start(tmp_path, worker, configuration):
    """With one sentence, before there is any worker; without our hooks by our worker class."""
    options = ["-c", configuration, "--http-protocols", "h2,h1", "--http2-cleartext", "both"]
    with Gunicorn(tmp_path, *options, worker=worker) as server:
        assert server.process.wait(timeout=60) != 0
        assert "gunicorn: HTTP/2 is not supported: take h2 out of http_protocols" in server.text()
        assert "Traceback" not in server.text()
        assert "Booting worker" not in server.text()


@pytest.mark.parametrize("worker", [OURS, STOCK])
@pytest.mark.parametrize("number", [signal.SIGQUIT, signal.SIGINT, signal.SIGABRT])
def test_a_signal_that_ends_a_worker_at_once_ends_it(start, worker, number):
    """The exit of gunicorn's handlers is no error of the greenlet in which it is raised."""
    server = start(worker=worker)
    pid = int(server.get()[2])
    os.kill(pid, number)
    server.wait_for("views are imported", 2)
    assert int(server.get()[2]) != pid
    assert "failed: SystemExit" not in server.text()


ALONE = ["spawn", "gevent", "later", "raw", "thread", "callback", "timer"]
WAITED_FOR = ["joinall", "gather", "group", "offload", "itself"]


@pytest.mark.parametrize("worker", [OURS, STOCK])
def test_an_exit_of_a_child_ends_no_worker(start, worker):
    """Whoever waits for it gets it, else it is logged; the worker and its requests go on."""
    server = start(worker=worker)
    pid = server.get()[2]
    busy = server.connect()
    busy.send("/sleep/3/")
    for kind in ("SystemExit", "KeyboardInterrupt"):
        for how in ALONE:
            assert server.get(f"/exits/{how}/{kind}/")[0] == 200, how
        for how in WAITED_FOR:
            with contextlib.suppress(EOFError):  # gunicorn's own worker answers no SystemExit
                assert server.get(f"/exits/{how}/{kind}/")[0] == 500, how
    assert server.get()[2] == pid
    assert busy.receive()[2] == b"slept"
    # Python's own threads end by SystemExit without a word.
    expected = len(ALONE) - len(["thread", "timer"])
    assert server.text().count("failed: SystemExit: 3") == expected
