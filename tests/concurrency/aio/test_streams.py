"""Asynchronous iterators, read from a greenlet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import gevent
import pytest
from asgiref.sync import sync_to_async
from django.http import StreamingHttpResponse
from django.test import RequestFactory
from gevent.event import Event

from concurrency import deadline
from concurrency.aio import iterate
from concurrency.errors import DeadlineExceeded
from concurrency.middleware import ConcurrencyMiddleware
from tests.concurrency.db.conftest import query

BACKEND = "SELECT pg_backend_pid()"


class Numbers:
    """An asynchronous generator, and a log of what it does."""

    def __init__(self) -> None:
        self.log: list[str] = []

    async def count(self, to: int = 3) -> AsyncIterator[int]:
        """Count, in one task, and ask the database at the end."""
        task = asyncio.current_task()
        try:
            for number in range(to):
                await asyncio.sleep(0.001)
                self.log.append(f"made {number}")
                assert asyncio.current_task() is task
                yield number
        finally:
            await asyncio.sleep(0)
            self.log.append(f"closed {await sync_to_async(query)('SELECT 7')}")


def test_items_come_one_by_one():
    """An item is made when it is asked for, and not before."""
    numbers = Numbers()
    items = iterate(numbers.count())
    assert numbers.log == []
    assert next(items) == 0
    gevent.sleep(0.005)
    assert numbers.log == ["made 0"]
    assert list(items) == [1, 2]
    assert numbers.log[-1] == "closed 7"


def test_an_early_end_closes_the_iterator():
    """Closing it early cancels the iterator and waits for its clean-up."""
    numbers = Numbers()
    items = iterate(numbers.count())
    next(items)
    items.close()
    assert numbers.log == ["made 0", "closed 7"]


def test_sync_code_runs_on_the_connection_of_the_reader():
    """Queries of an asynchronous iterator use the reader's connection."""

    async def backends() -> AsyncIterator[int]:
        yield await sync_to_async(query)(BACKEND)
        yield await sync_to_async(query)(BACKEND)

    own = query(BACKEND)
    assert list(iterate(backends())) == [own, own]


def test_errors_pass():
    """What the iterator raises is raised to the reader."""

    async def broken() -> AsyncIterator[int]:
        yield 1
        raise LookupError("after one")

    items = iterate(broken())
    assert next(items) == 1
    with pytest.raises(LookupError, match="after one"):
        next(items)


def test_a_deadline_ends_it():
    """A deadline of the reader cancels the iterator, which cleans up."""
    numbers = Numbers()

    async def slow() -> AsyncIterator[int]:
        async with aclosing(numbers.count()) as counting:
            async for number in counting:
                yield number
                await asyncio.sleep(30)

    query()
    with pytest.raises(DeadlineExceeded), deadline(0.05):
        list(iterate(slow()))
    assert numbers.log == ["made 0", "closed 7"]


def test_a_kill_ends_it():
    """A killed reader waits for the iterator's clean-up."""
    numbers, reached = Numbers(), Event()

    async def waiting() -> AsyncIterator[int]:
        async with aclosing(numbers.count()) as counting:
            async for number in counting:
                yield number
                reached.set()
                await asyncio.sleep(30)

    greenlet = gevent.spawn(lambda: list(iterate(waiting())))
    assert reached.wait(5)
    greenlet.kill()
    assert numbers.log == ["made 0", "closed 7"]


def test_an_asynchronous_stream_is_sent_as_it_comes():
    """A response with an asynchronous stream is sent piece by piece, without a warning."""
    numbers = Numbers()

    async def pieces() -> AsyncIterator[bytes]:
        async for number in numbers.count():
            yield str(number).encode()

    middleware = ConcurrencyMiddleware(lambda request: StreamingHttpResponse(pieces()))
    response = middleware(RequestFactory().get("/"))
    sent = iter(response)
    assert next(sent) == b"0"
    assert numbers.log == ["made 0"]
    assert b"".join(sent) == b"12"
    response.close()
