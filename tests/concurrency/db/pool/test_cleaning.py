"""What makes a connection fit for the next holder, and when it is closed instead."""

from __future__ import annotations

from types import SimpleNamespace

import gevent
import pytest

from concurrency.db.pool import cleaning
from concurrency.db.pool.cleaning import is_alive, is_clean, make_clean
from tests.concurrency.db.pool.paper import PaperDriver, connection
from tests.helpers import until


def test_a_connection_that_nobody_touched_is_lent_as_it_is():
    """Nothing is sent to the server."""
    made = connection()
    assert is_clean(made)
    assert make_clean(made)
    assert made.raw.calls == []


def test_a_statement_is_stopped_before_the_session_is_reset():
    """A session that was reset is set up again before it is used."""
    made = connection()
    made.configured, made.set_up = True, frozenset({"SET a = 1"})
    made.raw.is_idle, made.tainted = False, True
    assert not is_clean(made)
    assert make_clean(made)
    assert made.raw.calls == ["clean", "reset"]
    assert (made.configured, made.tainted, made.set_up) == (False, False, frozenset())


def test_what_a_holder_changed_on_the_driver_s_object_closes_the_connection():
    """There is no way back that is the same for all attributes."""
    made = connection()
    made.raw.setting = "changed"
    assert not is_clean(made)
    assert not make_clean(made)


@pytest.mark.parametrize("step", ["clean", "reset"])
def test_a_connection_that_cannot_be_cleaned_is_of_no_use(step):
    """Whatever the driver raises, the caller closes it."""
    made = connection(PaperDriver(step))
    made.raw.is_idle, made.tainted = False, True
    assert not make_clean(made)


def test_cursors_that_are_left_open_are_closed():
    """They bind the session until then."""
    made = connection()
    cursor = SimpleNamespace(closed=False)
    made.cursors.append(cursor)
    assert not is_clean(made)
    assert make_clean(made)
    assert cursor.closed
    assert is_clean(made)


def test_a_connection_without_a_socket_is_asked():
    """And one that does not answer is of no use."""
    made = connection()
    assert is_alive(made)
    assert made.raw.calls == ["ping"]
    assert not is_alive(connection(PaperDriver("ping")))
    made.raw.is_closed = True
    assert not is_alive(made)


class SlowDriver(PaperDriver):
    """A driver whose server does not respond to one of the calls."""

    def _call(self, raw, name):
        raw.calls.append(name)
        if name in self.fails:
            gevent.sleep(60)


@pytest.mark.parametrize("step", ["clean", "reset"])
def test_a_server_that_does_not_respond_is_left_after_the_budget(step, monkeypatch):
    """The connection is closed instead of waited for."""
    monkeypatch.setattr(cleaning, "KILL_BUDGET", 0.01)
    made = connection(SlowDriver(step))
    made.raw.is_idle, made.tainted = False, True
    assert not make_clean(made)
    assert made.raw.calls[-1] == step


def test_a_ping_that_is_not_answered_is_left_after_the_budget(monkeypatch):
    """The connection is of no use."""
    monkeypatch.setattr(cleaning, "KILL_BUDGET", 0.01)
    assert not is_alive(connection(SlowDriver("ping")))


def test_a_cursor_that_cannot_be_closed_makes_the_connection_useless():
    """What is left of it could reach the next holder."""

    class Refuses(PaperDriver):
        def close_cursor(self, cursor):
            raise self.error("close_cursor")

    made = connection(Refuses())
    made.cursors.append(SimpleNamespace(closed=False))
    assert not make_clean(made)


def test_cursors_that_are_closed_need_nothing():
    """The next holder may have the connection as it is."""
    made = connection(PaperDriver("clean", "reset"))
    made.cursors.append(SimpleNamespace(closed=True))
    assert is_clean(made)
    assert make_clean(made)


def test_a_kill_during_the_cleaning_is_not_swallowed():
    """The greenlet that cleans may be interrupted like any other."""
    made = connection(SlowDriver("reset"))
    made.tainted = True
    cleaner = gevent.spawn(make_clean, made)
    until(lambda: made.raw.calls == ["reset"], "cleaning")
    cleaner.kill(KeyboardInterrupt, block=False)
    with pytest.raises(KeyboardInterrupt):
        cleaner.get(timeout=15)
