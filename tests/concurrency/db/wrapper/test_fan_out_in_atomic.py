"""A child that uses a database while its parent waits inside atomic on it is noticed."""

from __future__ import annotations

import asyncio
import warnings

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import InterfaceError, transaction

from concurrency import TaskGroup, gather, joinall, map_each, spawn
from concurrency.errors import FanOutInAtomicBlock
from tests.concurrency.db.conftest import query
from tests.helpers import until


def ask() -> int:
    return query()


def by_group():
    with TaskGroup() as group:
        group.spawn(ask)


@async_to_sync
async def by_thread():
    await asyncio.to_thread(ask)


@async_to_sync
async def by_insensitive_call():
    await sync_to_async(ask, thread_sensitive=False)()


@async_to_sync
async def by_childs_thread():
    await asyncio.to_thread(gather, ask)


VERBS = [
    pytest.param(by_thread, id="to_thread"),
    pytest.param(by_insensitive_call, id="sync_to_async"),
    pytest.param(by_childs_thread, id="grandchild of to_thread"),
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
@pytest.mark.parametrize("verb", VERBS[:6])
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


def test_code_of_a_coroutine_in_the_callers_greenlet_is_fine(pool, recwarn):
    """What runs on the caller's connection sees what the caller has written."""
    with transaction.atomic():
        query()
        async_to_sync(sync_to_async(ask))()
    assert not [warning for warning in recwarn if warning.category is RuntimeWarning]


def test_a_greenlet_that_nobody_waits_for_is_fine(pool, recwarn):
    """Work that was sent off before the commit is the user's business."""
    with transaction.atomic():
        query()
        greenlet = spawn(ask)
        until(greenlet.ready)
    assert not [warning for warning in recwarn if warning.category is RuntimeWarning]
