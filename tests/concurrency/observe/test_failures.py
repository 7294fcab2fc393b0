"""Errors of greenlets appear once, with the place of their birth."""

from __future__ import annotations

import logging
import subprocess
import sys
from _thread import start_new_thread
from functools import partial
from pathlib import Path

import gevent
import pytest
from gevent import spawn_raw

from concurrency import TaskGroup, gather, joinall, spawn
from tests.helpers import until

ROOT = Path(__file__).resolve().parents[3]


def fail():
    raise LookupError("nobody knows")


def grouped(fn):
    with TaskGroup() as group:
        group.spawn(fn)


def records(caplog) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name == "concurrency.tasks"]


@pytest.mark.parametrize("start", [spawn, gevent.spawn])
def test_an_error_that_nobody_waits_for_is_logged_with_where_it_was_spawned(caplog, capfd, start):
    """Once, with its own traceback, and gevent prints nothing beside it."""
    start(fail)
    until(lambda: records(caplog), "it is logged")
    gevent.idle()
    (record,) = records(caplog)
    text = record.getMessage()
    assert "LookupError: nobody knows. It was spawned at:" in text
    assert "test_an_error_that_nobody_waits_for" in text
    assert record.exc_info[2] is not None
    assert capfd.readouterr().err.count("Traceback") == 0


@pytest.mark.parametrize("raised", [SystemExit(3), KeyboardInterrupt()], ids=repr)
@pytest.mark.parametrize("start", [spawn, gevent.spawn, spawn_raw, start_new_thread])
def test_an_exit_in_a_greenlet_that_nobody_waits_for_is_logged(caplog, capfd, start, raised):
    """It ends neither the process nor anybody else, as in a thread of Python's."""

    def leave(*args):
        raise raised

    start(leave, ())
    until(lambda: records(caplog), "it is logged")
    gevent.idle()
    (record,) = records(caplog)
    assert f"failed: {type(raised).__name__}" in record.getMessage()
    assert capfd.readouterr().err.count("Traceback") == 0


def test_an_exit_in_a_callback_of_the_hub_is_logged(caplog):
    """Outside of the hub, as a handler may wait."""
    gevent.get_hub().loop.run_callback(sys.exit, 3)
    until(lambda: records(caplog), "it is logged")
    assert "failed: SystemExit: 3" in records(caplog)[0].getMessage()


@pytest.mark.parametrize("wait", [lambda fn: joinall([spawn(fn)]), gather, grouped])
def test_an_exit_is_raised_where_somebody_waits(caplog, wait):
    """`joinall`, `gather` and `TaskGroup` pass it on, and nothing else happens."""
    with pytest.raises(SystemExit):
        wait(partial(sys.exit, 3))
    gevent.idle()
    assert records(caplog) == []


SCRIPT = """
import concurrency.patch
import gevent, os, signal, sys
import concurrency.observe.failures
concurrency.observe.failures.install()
{handler}
def busy():
    os.kill(os.getpid(), signal.{signal})
    while True:
        sum(range(100))
gevent.spawn(busy)
try:
    gevent.sleep(20)
except BaseException as error:
    print("ended by", repr(error), flush=True)
    os._exit(0)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("handler", "number", "ended"),
    [
        ("", "SIGINT", "KeyboardInterrupt()"),
        ("signal.signal(signal.SIGTERM, lambda *a: sys.exit(7))", "SIGTERM", "SystemExit(7)"),
    ],
)
def test_an_exit_of_a_signal_handler_ends_the_process(handler, number, ended):
    """Whichever greenlet the signal has interrupted."""
    script = SCRIPT.format(handler=handler, signal=number)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=15, cwd=ROOT
    )
    assert f"ended by {ended}" in done.stdout, done.stderr


def test_the_end_of_a_killed_greenlet_is_no_error(caplog, capfd):
    """`GreenletExit` is how greenlets end when they are told to."""
    spawn(gevent.sleep, 10).kill()
    gevent.idle()
    assert records(caplog) == []
    assert capfd.readouterr().err == ""


def test_an_error_that_is_raised_where_somebody_waits_is_not_logged(caplog, capfd):
    """It appears once, as the exception of the one who waits."""
    with pytest.raises(LookupError):
        joinall([spawn(fail)])
    with pytest.raises(LookupError):
        gather(fail)
    assert records(caplog) == []
    assert capfd.readouterr().err == ""
