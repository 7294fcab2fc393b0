"""A coroutine that can be stopped wherever it waits, and tells what it did then."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from asgiref.sync import async_to_sync, sync_to_async
from gevent.event import Event

from tests.concurrency.db.conftest import query
from tests.helpers import until


class Phases:
    """A coroutine that can be stopped in each of its phases, and tells what it did."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.reached = Event()

    async def awaiting(self) -> None:
        """Wait in asyncio's way."""
        await self._phase(asyncio.sleep(30))

    async def querying(self) -> None:
        """Wait for the database, in the greenlet that called."""
        await self._phase(sync_to_async(query)("SELECT pg_sleep(30)"))

    async def in_thread(self) -> None:
        """Wait for a function in a thread of asyncio's."""
        await self._phase(asyncio.to_thread(self._sync))

    async def in_tasks(self) -> None:
        """Wait for tasks, one of which queries."""

        async def group() -> None:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(asyncio.sleep(30))
                tasks.create_task(sync_to_async(query)("SELECT pg_sleep(30)"))

        await self._phase(group())

    async def nested(self) -> None:
        """Wait in a coroutine that a function called, which a coroutine called."""
        inner = async_to_sync(self.awaiting)
        try:
            await sync_to_async(inner)()
        finally:
            self.log.append("outer finally")

    def _sync(self) -> None:
        try:
            Event().wait()
        finally:
            self.log.append("thread finally")

    async def _phase(self, waiting: Awaitable[object]) -> None:
        asyncio.get_running_loop().call_soon(self.reached.set)
        try:
            await waiting
        except asyncio.CancelledError:
            self.log.append("cancelled")
            raise
        finally:
            # Clean-up may wait and query, as that of any greenlet.
            await asyncio.sleep(0)
            self.log.append(f"finally {await sync_to_async(query)('SELECT 7')}")


#: The names of the ways in which one can wait.
PHASES = ["awaiting", "querying", "in_thread", "in_tasks", "nested"]


def check_ended(phases: Phases, phase: str) -> None:
    """Assert that a phase was cancelled, and had time to clean up."""
    assert "cancelled" in phases.log
    assert "finally 7" in phases.log
    if phase == "in_thread":
        until(lambda: "thread finally" in phases.log)
    if phase == "nested":
        assert phases.log[-1] == "outer finally"
