"""asgiref in greenlets: whose connection, whose transaction, who is stopped when."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator
from contextvars import ContextVar

import gevent
import pytest
from asgiref import sync
from asgiref.sync import ThreadSensitiveContext, async_to_sync, sync_to_async
from django.db import connection, transaction
from django.test import TestCase
from django.utils import translation

from concurrency import deadline, joinall, remaining, spawn
from concurrency.aio import bridge
from concurrency.aio.loop import HubLoop
from concurrency.db import pool_statistics
from concurrency.errors import DeadlineExceeded
from tests.concurrency.aio.kinds import Kind
from tests.concurrency.aio.phases import PHASES, Phases, check_ended
from tests.concurrency.db.conftest import query
from tests.helpers import until

BACKEND = "SELECT pg_backend_pid()"

variable: ContextVar[str] = ContextVar("variable", default="default")


@pytest.fixture(scope="module", autouse=True)
def table():
    """A table, for the length of this module."""
    with connection.schema_editor() as editor:
        editor.create_model(Kind)
    connection.close()
    yield
    with connection.schema_editor() as editor:
        editor.delete_model(Kind)
    connection.close()


def in_use() -> int:
    """Return how many connections of the pool are in use."""
    return pool_statistics()["default"].in_use


@pytest.mark.parametrize("phase", PHASES)
def test_a_kill_cancels_the_coroutine(phase: str):
    """A killed greenlet ends when its coroutine has cleaned up, and holds nothing then."""
    phases = Phases()
    greenlet = gevent.spawn(async_to_sync(getattr(phases, phase)))
    assert phases.reached.wait(5)
    gevent.sleep(0.002)
    greenlet.kill(timeout=5)
    assert isinstance(greenlet.value, gevent.GreenletExit)
    check_ended(phases, phase)
    until(lambda: in_use() == 0)


@pytest.mark.parametrize("phase", PHASES)
def test_a_deadline_cancels_the_coroutine(phase: str):
    """A deadline outside ends a coroutine wherever it waits, with its own error."""
    phases = Phases()
    query()  # not to be waited for within the deadline
    with pytest.raises(DeadlineExceeded) as caught, deadline(0.05):
        async_to_sync(getattr(phases, phase))()
    assert caught.value.seconds == 0.05
    check_ended(phases, phase)
    assert query("SELECT 42") == 42


@pytest.mark.parametrize("phase", PHASES)
def test_a_deadline_inside_a_coroutine(phase: str):
    """A deadline inside a coroutine cancels its task, and the task goes on after it."""
    phases = Phases()

    async def main() -> str:
        await sync_to_async(query)()
        with pytest.raises(DeadlineExceeded), deadline(0.05):
            await getattr(phases, phase)()
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        return await sync_to_async(query)("SELECT 'goes on'")

    assert async_to_sync(main)() == "goes on"
    check_ended(phases, phase)


def test_a_cancelled_task_stops_its_query():
    """wait_for around sync_to_async stops the statement, and the connection can be used."""

    async def main() -> int:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(sync_to_async(query)("SELECT pg_sleep(30)"), 0.05)
        return await sync_to_async(query)("SELECT 42")

    assert async_to_sync(main)() == 42


def test_who_cancels_is_not_mistaken():
    """A task that is cancelled from outside within a deadline raises CancelledError."""

    async def main() -> None:
        async def limited() -> None:
            with deadline(30):
                await asyncio.sleep(30)

        task = asyncio.ensure_future(limited())
        await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async_to_sync(main)()


def test_a_deadline_that_a_coroutine_swallows_is_raised_all_the_same():
    """A coroutine that swallows its cancellation cannot swallow the deadline."""

    async def stubborn() -> None:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            await asyncio.sleep(0.001)

    async def main() -> None:
        with deadline(0.01):
            await stubborn()

    with pytest.raises(DeadlineExceeded), deadline(0.01):
        async_to_sync(stubborn)()
    with pytest.raises(DeadlineExceeded):
        async_to_sync(main)()


def test_what_is_left_of_a_deadline_is_known_in_coroutines():
    """remaining() in a coroutine, and in what it calls, tells what the caller has left."""

    async def main() -> list[float | None]:
        return [remaining(), await sync_to_async(remaining)(), await asyncio.to_thread(remaining)]

    with deadline(30):
        left = async_to_sync(main)()
    assert all(seconds is not None and 0 < seconds <= 30 for seconds in left)


def test_a_timeout_of_gevent_passes():
    """A gevent.Timeout around async_to_sync ends it, and is caught where it was set."""
    phases = Phases()
    with gevent.Timeout(0.05, False):
        async_to_sync(phases.awaiting)()
    check_ended(phases, "awaiting")


def test_errors_keep_their_type_and_traceback():
    """What a function raises passes through coroutines as it is, with its frames."""

    def fails() -> None:
        raise LookupError("deep down")

    async def main() -> None:
        await sync_to_async(fails)()

    with pytest.raises(LookupError, match="deep down") as caught:
        async_to_sync(main)()
    assert {"main", "fails"} <= {entry.name for entry in caught.traceback}


def test_an_exception_group_passes():
    """An ExceptionGroup of asyncio's TaskGroup can be taken apart by the caller."""

    def fails() -> None:
        raise LookupError("one")

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(sync_to_async(fails)())
            group.create_task(asyncio.sleep(30))

    found = []
    try:
        async_to_sync(main)()
    except* LookupError as group:
        found = list(group.exceptions)
    assert [str(error) for error in found] == ["one"]


def test_a_function_that_raises_stop_iteration():
    """StopIteration, which no future takes, is an error and not a hang."""

    async def main() -> None:
        await sync_to_async(next)(iter(()))

    with pytest.raises(RuntimeError, match="StopIteration"):
        async_to_sync(main)()


def test_sync_code_runs_on_the_connection_of_the_caller():
    """Queries of a coroutine use the caller's connection, in its transaction."""

    async def main() -> list[int]:
        one = await sync_to_async(query)(BACKEND)
        await asyncio.sleep(0.001)
        async with asyncio.TaskGroup() as group:
            others = [group.create_task(sync_to_async(query)(BACKEND)) for _ in range(3)]
        found = await Kind.objects.filter(app_label="aio").acount()
        return [one, *(other.result() for other in others), found]

    with transaction.atomic():
        own = query(BACKEND)
        Kind.objects.create(app_label="aio", model="written before")
        assert async_to_sync(main)() == [own, own, own, own, 1]
        transaction.set_rollback(True)


def test_a_coroutine_writes_into_the_transaction_of_the_caller():
    """A rollback of the caller undoes what its coroutine has written."""

    async def main() -> None:
        await Kind.objects.acreate(app_label="aio", model="undone")

    with transaction.atomic():
        async_to_sync(main)()
        assert Kind.objects.filter(app_label="aio").count() == 1
        transaction.set_rollback(True)
    assert not Kind.objects.filter(app_label="aio").exists()


class TestTestCase(TestCase):
    """Django's TestCase and coroutines."""

    def test_a_test_case_sees_its_rows_in_coroutines(self):
        """What a TestCase has written is seen by its coroutines, and the reverse."""
        Kind.objects.create(app_label="aio", model="of the test")

        async def main() -> int:
            await Kind.objects.acreate(app_label="aio", model="of the coroutine")
            return await Kind.objects.filter(app_label="aio").acount()

        assert async_to_sync(main)() == 2
        assert Kind.objects.filter(app_label="aio").count() == 2

    async def test_an_asynchronous_test(self):
        """An asynchronous test of a TestCase is in the test's transaction."""
        await Kind.objects.acreate(app_label="aio", model="of the test")
        assert await Kind.objects.filter(app_label="aio").acount() == 1


def test_idle_connections_are_lent_while_a_coroutine_waits():
    """Who waits for a coroutine that waits for something else holds no connection."""
    waiting = asyncio.Event()

    async def main() -> int:
        await sync_to_async(query)()
        waiting.loop = asyncio.get_running_loop()
        await waiting.wait()
        return await sync_to_async(query)("SELECT 42")

    greenlet = spawn(async_to_sync(main))
    until(lambda: hasattr(waiting, "loop") and in_use() == 0)
    waiting.loop.call_soon_threadsafe(waiting.set)
    assert joinall([greenlet]) == [42]


def test_context_crosses_in_both_directions():
    """Context variables and the language cross into coroutines and back."""

    async def main() -> tuple[str, str, str]:
        variable.set("inner")
        return await sync_to_async(lambda: (variable.get(), translation.get_language()))()

    with translation.override("de"):
        token = variable.set("outer")
        assert async_to_sync(main)() == ("inner", "de")
        assert variable.get() == "inner"
        variable.reset(token)


def test_each_run_of_asyncio_has_a_greenlet_for_sync_code():
    """Under asyncio.run, sync_to_async code of one loop shares a greenlet; loops do not."""

    async def main() -> tuple[int, int]:
        first = await sync_to_async(threading.get_ident)()
        await sync_to_async(query)()
        return first, await sync_to_async(threading.get_ident)()

    runs = [gevent.spawn(asyncio.run, main()) for _ in range(3)]
    gevent.joinall(runs, raise_error=True)
    assert all(first == second for first, second in (run.value for run in runs))
    assert len({run.value[0] for run in runs}) == 3
    until(lambda: in_use() == 0)


def test_a_thread_sensitive_context_has_a_thread_of_its_own():
    """Code within ThreadSensitiveContext runs in one greenlet, which ends with it."""

    async def main() -> tuple[int, int]:
        async with ThreadSensitiveContext():
            await sync_to_async(query)()
            return [await sync_to_async(threading.get_ident)() for _ in range(2)]

    first, second = asyncio.run(main())
    assert first == second
    until(lambda: in_use() == 0)


def test_loops_are_used_again():
    """A coroutine that leaves nothing behind leaves its loop to the next."""

    async def main() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    first = async_to_sync(main)()
    assert async_to_sync(main)() is first
    assert isinstance(first, HubLoop)
    assert first.is_closed()  # for everybody, until it runs again
    with pytest.raises(RuntimeError, match="closed"):
        first.call_soon_threadsafe(print)


def test_a_loop_that_was_changed_is_not_used_again():
    """A loop on which a coroutine left a timer or a handler is closed."""

    async def main(change: str) -> asyncio.AbstractEventLoop:
        loop = asyncio.get_running_loop()
        if change == "timer":
            loop.call_later(30, print)
        elif change == "handler":
            loop.set_exception_handler(lambda loop, context: None)
        return loop

    for change in ("timer", "handler"):
        first = async_to_sync(main)(change)
        assert async_to_sync(main)("none") is not first


def test_tasks_that_are_left_behind_are_cancelled():
    """A task that its coroutine did not wait for is cancelled, and its finally runs."""
    log = []

    async def left() -> None:
        try:
            await asyncio.sleep(30)
        finally:
            log.append("finally")

    async def main() -> None:
        main.task = asyncio.create_task(left())
        await asyncio.sleep(0)

    async_to_sync(main)()
    assert log == ["finally"]
    del main.task
    gc.collect()


def test_generators_that_are_left_open_are_closed():
    """An asynchronous generator that its coroutine did not finish is closed with it."""
    log, held = [], []

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            await asyncio.sleep(0)
            log.append("closed")

    async def main() -> int:
        held.append(numbers())
        return await anext(held[-1])

    assert [async_to_sync(main)(), async_to_sync(main)()] == [1, 1]
    assert log == ["closed", "closed"]


def test_a_greenlet_forgets_the_loop_of_a_coroutine():
    """A greenlet that served a coroutine does not run the next one on its loop."""

    async def with_sync() -> None:
        await sync_to_async(query)()

    async def sleeping() -> str:
        await asyncio.sleep(0.01)
        return "slept"

    async_to_sync(with_sync)()
    other = gevent.spawn(async_to_sync(with_sync))
    assert async_to_sync(sleeping)() == "slept"
    other.get()


def test_a_busy_coroutine_lets_others_run():
    """A coroutine that always has something to do does not stop other greenlets."""
    turns = []

    async def busy() -> None:
        while len(turns) < 3:
            await asyncio.sleep(0)

    def other() -> None:
        for number in range(3):
            turns.append(number)
            gevent.sleep(0)

    greenlet = gevent.spawn(other)
    async_to_sync(busy)()
    greenlet.get()


def test_installing_it_twice_changes_nothing():
    """install() may be called again."""
    before = sync.AsyncToSync.main_wrap
    bridge.install()
    assert bridge.is_installed()
    assert sync.AsyncToSync.main_wrap is before
