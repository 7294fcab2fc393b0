"""A child that uses a database while its parent waits inside atomic on it is noticed."""

from __future__ import annotations

import warnings

import gevent
import pytest
from django.db import InterfaceError, transaction

from concurrency import TaskGroup, gather, joinall, map_each, spawn
from concurrency.errors import FanOutInAtomicBlock
from tests.concurrency.db.conftest import query


def ask() -> int:
    return query()


def by_group():
    with TaskGroup() as group:
        group.spawn(ask)


VERBS = [
    pytest.param(lambda: gather(ask), id="gather"),
    pytest.param(lambda: map_each(lambda _: ask(), [0], limit=1), id="map_each"),
    pytest.param(by_group, id="TaskGroup"),
    pytest.param(lambda: joinall([spawn(ask)]), id="joinall"),
    pytest.param(lambda: gather(lambda: gather(ask)), id="grandchild"),
]


@pytest.mark.parametrize("verb", VERBS)
def test_it_warns_by_default(pool, verb):
    """The message names the database, the danger and what to do."""
    with transaction.atomic():
        query()
        with pytest.warns(RuntimeWarning, match=r"'default'.*does not see.*FAN_OUT_IN_ATOMIC"):
            verb()


def test_it_warns_once_for_each_place(pool):
    """A loop does not fill the log, and the warning is about the user's line."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("default")
        for _ in range(3):
            with transaction.atomic():
                query()
                gather(ask)
        with transaction.atomic():
            query()
            gather(lambda: query("SELECT 2"))
    assert len(seen) <= 2
    assert all(warning.filename.endswith("conftest.py") for warning in seen)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("verb", VERBS[:3])
def test_it_can_be_an_error(pool, settings_with, verb):
    """ "raise" is for projects that want none of it; the child never gets a connection."""
    settings_with(FAN_OUT_IN_ATOMIC="raise")
    with pytest.raises((FanOutInAtomicBlock, ExceptionGroup)) as caught, transaction.atomic():
        query()
        verb()
    error = caught.value
    if isinstance(error, ExceptionGroup):
        (error,) = error.exceptions
    assert isinstance(error, FanOutInAtomicBlock)
    assert isinstance(error, InterfaceError)
    assert error.alias == "default"


def test_it_can_be_allowed(pool, settings_with, recwarn):
    """ "allow" says nothing."""
    settings_with(FAN_OUT_IN_ATOMIC="allow")
    with transaction.atomic():
        query()
        gather(ask)
    assert not [warning for warning in recwarn if warning.category is RuntimeWarning]


@pytest.mark.parametrize("parent", ["autocommit", "before", "after"])
def test_fan_out_outside_of_the_transaction_is_fine(pool, recwarn, parent):
    """Only who waits inside atomic is meant."""
    query()
    if parent == "before":
        gather(ask)
    with transaction.atomic():
        query()
    if parent != "before":
        gather(ask)
    assert not [warning for warning in recwarn if warning.category is RuntimeWarning]


def test_a_greenlet_that_nobody_waits_for_is_fine(pool, recwarn):
    """Work that was sent off before the commit is the user's business."""
    with transaction.atomic():
        query()
        greenlet = spawn(ask)
        while not greenlet.ready():
            gevent.sleep(0.001)
    assert not [warning for warning in recwarn if warning.category is RuntimeWarning]
