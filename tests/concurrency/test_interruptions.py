"""What is thrown into a greenlet has one base, and is no error of its work."""

from __future__ import annotations

import asyncio

import gevent
import pytest
from asgiref.sync import async_to_sync, sync_to_async
from gevent.event import Event

from concurrency import TaskGroup, deadline
from concurrency.errors import DeadlineExceeded
from concurrency.interruptions import INTERRUPTIONS, Interruption


def caught(seen):
    """Wait until something is thrown into this greenlet."""
    try:
        Event().wait()
    except BaseException as error:
        seen.append(error)
        raise


def by_a_deadline(seen):
    with pytest.raises(DeadlineExceeded), deadline(0.01):
        caught(seen)


def by_a_disconnect(seen):
    def body():
        with deadline(None) as limit:
            gevent.get_hub().loop.run_callback(limit.expire)
            caught(seen)

    with pytest.raises(DeadlineExceeded):
        body()


def by_a_sibling_that_failed(seen):
    with pytest.raises(ExceptionGroup), TaskGroup() as group:
        group.spawn(lambda: 1 / 0)
        caught(seen)


def by_a_cancelled_coroutine(seen):
    begun = []

    def call():
        begun.append(True)
        caught(seen)

    async def main():
        task = asyncio.ensure_future(sync_to_async(call)())
        while not begun:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

    async_to_sync(main)()


@pytest.mark.parametrize(
    "interrupted",
    [by_a_deadline, by_a_disconnect, by_a_sibling_that_failed, by_a_cancelled_coroutine],
)
def test_every_interruption_has_the_same_base(interrupted):
    """So one `except` knows all of them, and `except Exception` none."""
    seen = []
    interrupted(seen)
    assert [isinstance(error, Interruption) for error in seen] == [True]
    assert not isinstance(seen[0], Exception)


def test_a_kill_is_gevents_own():
    """Of a task that is cancelled, as of any greenlet that is killed."""
    seen = []
    with TaskGroup() as group:
        task = group.spawn(caught, seen)
        gevent.sleep(0)
        task.cancel()
    assert type(seen[0]) is gevent.GreenletExit
    assert isinstance(seen[0], INTERRUPTIONS)
