"""kill_at_every_switch kills at every switch, and sees what is wrong after one."""

from __future__ import annotations

import gevent
import greenlet
import pytest
from django.db import connection
from gevent.event import Event

from concurrency import deadline
from concurrency.testing import assert_nothing_left, kill_at_every_switch
from tests.concurrency.db.conftest import query


def three_waits(log):
    for step in range(3):
        log.append(step)
        gevent.sleep(0)
    log.append("end")


@pytest.mark.parametrize("how", ["kill", "timeout", "deadline"])
def test_each_wait_is_interrupted_once(how):
    """The first run at its first wait, and so on; the last run is left alone."""
    log = []
    assert kill_at_every_switch(lambda: three_waits(log), how=how) == 3
    assert log == [0, 0, 1, 0, 1, 2, 0, 1, 2, "end"]


def test_the_check_is_called_after_each_run():
    """Also after the last one, which nobody has interrupted."""
    checked = []
    kill_at_every_switch(lambda: three_waits([]), lambda: checked.append(1))
    assert len(checked) == 4


def test_a_failed_check_says_where_the_kill_was():
    """The error has the place as a note."""

    def check():
        raise AssertionError("half done")

    with pytest.raises(AssertionError, match="half done") as caught:
        kill_at_every_switch(lambda: three_waits([]), check)
    (note,) = caught.value.__notes__
    assert note.startswith("after a kill at wait 1:")
    assert "in three_waits" in note


def test_a_lease_that_is_not_given_back_is_found(pool, monkeypatch):
    """What the helper is for."""
    from concurrency.testing import kills

    monkeypatch.setattr(kills, "_SETTLE_LIMIT", 0.05)
    kept = []

    def leak():
        kept.append(gevent.spawn(hold))
        kept[-1].join()

    def hold():
        query()
        gevent.sleep(30)

    with pytest.raises(AssertionError, match=r"a pool is not whole.*in_use=1"):
        kill_at_every_switch(leak)
    gevent.killall(kept)


def test_an_error_of_the_function_itself_is_raised():
    """One that nobody has interrupted has to succeed."""
    with pytest.raises(ZeroDivisionError):
        kill_at_every_switch(lambda: 1 / 0)


def test_an_endless_function_is_given_up():
    """It is said that it did not end."""

    def endless():
        while True:
            with gevent.Timeout(None):
                try:
                    gevent.sleep(0)
                except gevent.GreenletExit:
                    return

    with pytest.raises(AssertionError, match="waited 5 times and did not end"):
        kill_at_every_switch(endless, most=5)


def test_a_deadline_inside_is_its_own_affair():
    """The function's own limits work as always."""

    def limited():
        with deadline(10):
            gevent.sleep(0)

    assert kill_at_every_switch(limited, how="deadline") == 1


def test_another_tracer_goes_on():
    """Whoever traced switches before sees them meanwhile, and afterwards."""
    seen = []

    def tracer(event, arguments):
        seen.append(event)

    before = greenlet.settrace(tracer)
    try:
        kill_at_every_switch(lambda: gevent.sleep(0))
        assert greenlet.gettrace() is tracer
    finally:
        greenlet.settrace(before)
    assert seen


class TestNothingLeft:
    """assert_nothing_left looks for greenlets, leases and context variables."""

    def test_a_greenlet(self):
        """One that goes on is named."""
        with (
            pytest.raises(AssertionError, match=r"greenlets left behind.*sleep"),
            assert_nothing_left(patience=0.02),
        ):
            left = gevent.spawn(gevent.sleep, 30)
        left.kill()

    def test_a_lease(self, pool):
        """Another greenlet's connection is found, one's own is closed."""

        def hold():
            query()
            holds.set()
            Event().wait()

        holds = Event()
        with (
            pytest.raises(AssertionError, match=r"leases left behind.*'default'"),
            assert_nothing_left(patience=0.02),
        ):
            query()
            left = gevent.spawn(hold)
            holds.wait()
        assert connection.connection is None
        left.kill()

    def test_a_context_variable(self):
        """One of this package that was set and not reset."""
        from concurrency import context

        with (
            pytest.raises(AssertionError, match=r"context left behind.*concurrency\.activity"),
            assert_nothing_left(),
        ):
            token = context.activity.set("a job")
        context.activity.reset(token)

    def test_what_was_there_before(self):
        """It is nobody's fault."""
        other = gevent.spawn(gevent.sleep, 30)
        gevent.sleep(0)
        with assert_nothing_left(patience=0.02):
            query()
        other.kill()
