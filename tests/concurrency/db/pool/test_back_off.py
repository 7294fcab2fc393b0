"""When a server that refuses is asked again."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError

from concurrency.db.pool.back_off import BackOff, Outage
from concurrency.db.pool.connection import is_of_server


class Driver:
    """As far as it matters here."""

    error = KeyError


def test_pauses_double_up_to_a_second_and_half_of_each_is_chance():
    """Attempts become rare soon, and a server that is back is noticed soon."""
    back_off, pauses = BackOff(clock=lambda: 7.0), []
    for _ in range(2000):
        back_off.failed(OSError("refused"))
        pauses.append(back_off.left())
    for pause, longest in zip(pauses, [0.1, 0.2, 0.4, 0.8, 1.0, 1.0], strict=False):
        assert 0.5 * longest <= pause + 1e-9 <= longest + 2e-9
    assert max(pauses) <= 1.0 + 1e-9
    assert max(pauses) - min(pauses[5:]) > 0.4
    assert (back_off.failures, back_off.reason) == (2000, "refused")


def test_a_success_ends_the_pause():
    """The next failure begins with the shortest one."""
    now = [7.0]
    back_off = BackOff(clock=lambda: now[0])
    for _ in range(5):
        back_off.failed(OSError("refused"))
    now[0] += 3.0
    assert back_off.outage() == Outage(seconds=3.0, attempts=5, reason="refused")
    back_off.succeeded()
    assert (back_off.left(), back_off.outage()) == (0.0, None)
    back_off.failed(OSError("refused"))
    assert back_off.left() <= 0.1 + 1e-9


def test_only_what_comes_from_the_server_is_a_reason_to_leave_it_alone():
    """A setting that cannot be right is reported each time, and costs the server nothing."""
    assert is_of_server(Driver, KeyError())
    assert is_of_server(Driver, OSError())
    assert is_of_server(Driver, OperationalError())
    assert not is_of_server(Driver, ImproperlyConfigured())


def test_a_pause_ends_with_the_clock():
    """It never becomes negative."""
    now = [7.0]
    back_off = BackOff(clock=lambda: now[0])
    assert back_off.left() == 0.0
    back_off.failed(OSError("refused"))
    before = back_off.left()
    now[0] += before / 2
    assert back_off.left() == pytest.approx(before / 2)
    now[0] += 100.0
    assert back_off.left() == 0.0


def test_a_reason_is_one_line():
    """Messages of PostgreSQL have several."""
    back_off = BackOff()
    back_off.failed(OSError("connection failed:\n\tis the server running?\n"))
    assert back_off.reason == "connection failed: is the server running?"
