"""What makes a connection fit for the next holder, and when it is closed instead."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from concurrency.db.pool.cleaning import is_alive, is_clean, make_clean
from tests.concurrency.db.pool.paper import PaperDriver, connection


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
