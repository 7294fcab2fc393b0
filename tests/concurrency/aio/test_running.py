"""`run` and `SharedLoop`: coroutines from greenlets, and clients that stay open."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import gevent
import httpx
import pytest
from asgiref.sync import sync_to_async

from concurrency import deadline, gather
from concurrency.aio import SharedLoop, run
from concurrency.errors import DeadlineExceeded
from tests.concurrency.db.conftest import query
from tests.concurrency.test_patch import facts
from tests.helpers import until
from tests.servers import impostor

BACKEND = "SELECT pg_backend_pid()"


async def double(number: int) -> int:
    """Return twice the number, after a wait."""
    await asyncio.sleep(0.001)
    return 2 * number


async def loop() -> asyncio.AbstractEventLoop:
    """Return the loop on which this runs."""
    return asyncio.get_running_loop()


@pytest.fixture
def shared() -> Iterator[SharedLoop]:
    """A loop that goes on between calls."""
    made = SharedLoop()
    yield made
    made.close()


@pytest.fixture
def service() -> Iterator[tuple[str, list[int]]]:
    """A service, and from which ports it was asked."""
    ports: list[int] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        ports.append(handler.client_address[1])
        handler.send_response(200)
        handler.send_header("Content-Length", "2")
        handler.end_headers()
        handler.wfile.write(b"ok")

    with impostor(answer) as url:
        yield url, ports


def test_it_takes_a_coroutine_or_a_function():
    """run() runs a coroutine, or what a function with arguments returns."""
    assert run(double(3)) == 6
    assert run(double, 4) == 8


def test_it_runs_in_many_greenlets():
    """Each greenlet may run a coroutine, while others do."""
    calls = [lambda number=number: run(double, number) for number in range(20)]
    assert gather(*calls) == [2 * number for number in range(20)]


def test_sync_code_runs_on_the_connection_of_the_caller(shared: SharedLoop):
    """sync_to_async code runs on the caller's connection, on whatever loop."""

    async def backend() -> int:
        return await sync_to_async(query)(BACKEND)

    def two() -> tuple[int, int, int]:
        return query(BACKEND), run(backend), shared.run(backend)

    for own, *others in gather(two, two):
        assert others == [own, own]


def test_inside_a_coroutine_it_is_an_error():
    """run() in a greenlet that runs a loop says to await, and leaves no coroutine behind."""

    async def main() -> None:
        with pytest.raises(RuntimeError, match="await"):
            run(double(1))

    run(main)


def test_a_deadline_ends_it(shared: SharedLoop):
    """A deadline cancels the coroutine, on whatever loop."""
    log = []

    async def forever() -> None:
        try:
            await asyncio.sleep(30)
        finally:
            await asyncio.sleep(0)
            log.append("finally")

    for runs in (run, shared.run):
        with pytest.raises(DeadlineExceeded), deadline(0.01):
            runs(forever)
    assert log == ["finally", "finally"]
    assert shared.run(double, 2) == 4


def test_a_greenlet_and_its_children_use_a_loop_again():
    """A tree of greenlets keeps its loop, and another tree has another."""

    def tree() -> list[asyncio.AbstractEventLoop]:
        return [run(loop), *gather(lambda: run(loop)), run(loop)]

    first, second = gevent.spawn(tree), gevent.spawn(tree)
    gevent.joinall([first, second], raise_error=True)
    assert len(set(first.value)) == len(set(second.value)) == 1
    assert first.value[0] is not second.value[0]
    for found in (first.value[0], second.value[0]):
        until(lambda found=found: found._closed, "the loop is closed with its tree")


def test_a_client_keeps_its_connections_between_calls(service: tuple[str, list[int]]):
    """A client that a greenlet uses in several calls opens one connection."""
    url, ports = service

    def asks() -> list[int]:
        client = httpx.AsyncClient()
        found = [run(client.get, url).status_code for _ in range(3)]
        run(client.aclose)
        return found

    assert gevent.spawn(asks).get() == [200, 200, 200]
    assert len(set(ports)) == 1


def test_a_client_of_the_process(service: tuple[str, list[int]], shared: SharedLoop):
    """A client on a SharedLoop serves all greenlets, each with its own deadline."""
    url, ports = service
    limits = httpx.Limits(max_connections=2)
    client = httpx.AsyncClient(limits=limits)

    def ask() -> int:
        return shared.run(client.get, url).status_code

    assert gather(*[ask] * 10) == [200] * 10
    assert len(set(ports)) <= 2
    shared.run(client.aclose)


def test_calls_of_a_shared_loop_run_at_the_same_time(shared: SharedLoop):
    """One caller's coroutine goes on while another's waits."""

    async def meet(event: asyncio.Event, *, is_first: bool) -> bool:
        if is_first:
            return await asyncio.wait_for(event.wait(), 5)
        event.set()
        return True

    async def event() -> asyncio.Event:
        return asyncio.Event()

    met = shared.run(event)
    assert gather(
        lambda: shared.run(lambda: meet(met, is_first=True)),
        lambda: shared.run(lambda: meet(met, is_first=False)),
    ) == [True, True]


def test_closing_a_shared_loop_cancels_what_runs(shared: SharedLoop):
    """close() cancels the tasks of the loop; the next call starts another."""

    async def background() -> asyncio.Task[None]:
        return asyncio.create_task(asyncio.sleep(30))

    task = shared.run(background)
    before = shared.run(loop)
    shared.close()
    assert task.cancelled()
    assert shared.run(loop) is not before


@pytest.mark.slow
def test_a_process_that_is_not_patched():
    """Without the patch run() works in the main greenlet; in others it is a clear error."""
    assert (
        facts(
            "import asyncio, gevent\n"
            "from concurrency.aio import run\n"
            "async def answer():\n"
            "    return 42\n"
            "print(run(answer))\n"
            "def other():\n"
            "    try:\n"
            "        run(answer())\n"
            "    except RuntimeError as error:\n"
            "        print(str(error).partition(',')[0])\n"
            "gevent.spawn(other).join()\n"
        )
        == "42\nthis process is not patched"
    )
