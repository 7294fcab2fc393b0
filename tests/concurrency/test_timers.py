"""Both timers interrupt a block where it waits, and know their own interruption."""

from __future__ import annotations

import asyncio

import gevent
import pytest
from gevent.event import Event

from concurrency.interruptions import Interruption
from concurrency.timers import GreenletTimer, TaskTimer


def test_a_greenlet_is_interrupted_where_it_waits():
    """The timer knows that the error is its own."""
    timer = GreenletTimer()
    timer.start(0.0, timer.interrupt)
    with pytest.raises(Interruption) as caught:
        Event().wait()
    assert timer.withdraw(caught.value)


def test_an_error_that_came_meanwhile_is_not_the_timers():
    """Nor is another timer's interruption."""
    timer, other = GreenletTimer(), GreenletTimer()
    errors = []
    for one in (timer, other):
        one.start(0.0, one.interrupt)
        try:
            Event().wait()
        except Interruption as error:
            errors.append(error)
    assert [timer.withdraw(error) for error in (*errors, KeyError(), None)] == [True] + [False] * 3


def test_a_cancelled_timer_does_nothing():
    """Also when its time was up already."""
    called = []
    timer = GreenletTimer()
    timer.start(-1.0, lambda: called.append(True))
    timer.cancel()
    timer.cancel()
    gevent.idle()
    assert not called


def test_a_task_is_cancelled_where_it_waits():
    """The timer takes its cancellation back, so that the task goes on."""

    async def main():
        task = asyncio.current_task()
        timer = TaskTimer(task)
        timer.start(0.0, timer.interrupt)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as error:
            return timer.withdraw(error), task.cancelling()

    assert asyncio.run(main()) == (True, 0)


def test_a_task_that_others_cancel_too_is_not_the_timers():
    """Their cancellation stays."""

    async def main():
        task = asyncio.current_task()
        timer = TaskTimer(task)
        task.cancel()
        timer.start(0.0, timer.interrupt)
        for _ in range(2):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError as error:
                last = error
        return timer.withdraw(last), task.cancelling()

    assert asyncio.run(main()) == (False, 1)


def test_an_interruption_that_comes_after_the_block_cancels_nobody():
    """The loop was asked to cancel the task, and the block has ended before it did."""

    async def main():
        timer = TaskTimer(asyncio.current_task())
        timer.interrupt()
        is_own = timer.withdraw(None)
        await asyncio.sleep(0)
        return is_own, asyncio.current_task().cancelling()

    assert asyncio.run(main()) == (False, 0)
