"""Errors of greenlets appear once, with the place of their birth."""

from __future__ import annotations

import logging

import gevent
import pytest

from concurrency import gather, joinall, spawn


def fail():
    raise LookupError("nobody knows")


def records(caplog) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name == "concurrency.tasks"]


@pytest.mark.parametrize("start", [spawn, gevent.spawn])
def test_an_error_that_nobody_waits_for_is_logged_with_where_it_was_spawned(caplog, capfd, start):
    """Once, with its own traceback, and gevent prints nothing beside it."""
    start(fail)
    gevent.sleep(0.01)
    (record,) = records(caplog)
    text = record.getMessage()
    assert "LookupError: nobody knows. It was spawned at:" in text
    assert "test_an_error_that_nobody_waits_for" in text
    assert record.exc_info[2] is not None
    assert capfd.readouterr().err.count("Traceback") == 0


def test_the_end_of_a_killed_greenlet_is_no_error(caplog, capfd):
    """`GreenletExit` is how greenlets end when they are told to."""
    spawn(gevent.sleep, 10).kill()
    gevent.sleep(0.01)
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
