"""The selector that waits on the hub."""

from __future__ import annotations

import asyncio
import selectors
import socket
from collections.abc import Iterator
from typing import Any

import gevent
import pytest

from concurrency import offload
from concurrency.aio.selector import HubSelector
from tests.helpers import until


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Return two connected sockets."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def selector() -> Iterator[HubSelector]:
    """Return a selector without files."""
    selector = HubSelector()
    yield selector
    selector.close()


@pytest.mark.parametrize("timeout", [0, -1, 1e-9, None])
def test_each_wait_sees_a_socket_that_is_ready(selector: HubSelector, pair: Any, timeout: Any):
    """Also one of length zero, and each of many in a row."""
    ours, theirs = pair
    theirs.send(b"x")
    for _ in range(20):
        selector.register(ours, selectors.EVENT_READ)
        assert [key.fileobj for key, _ in selector.select(timeout)] == [ours]
        selector.unregister(ours)


def test_a_zero_length_wait_does_not_wait(selector: HubSelector, pair: Any):
    """It returns nothing when nothing has happened."""
    selector.register(pair[0], selectors.EVENT_READ)
    assert [selector.select(0) for _ in range(20)] == [[]] * 20


def test_what_happens_while_it_waits_ends_the_wait(selector: HubSelector, pair: Any):
    """A greenlet that writes to the other end is enough."""
    ours, theirs = pair
    selector.register(ours, selectors.EVENT_READ | selectors.EVENT_WRITE)
    assert selector.select(None)[0][1] == selectors.EVENT_WRITE
    selector.modify(ours, selectors.EVENT_READ)
    writer = gevent.spawn(theirs.send, b"x")
    assert selector.select(None)[0][1] == selectors.EVENT_READ
    writer.join()


def test_others_run_beside_a_loop_that_never_waits(selector: HubSelector, pair: Any):
    """A selector that always finds something gives way now and then."""
    ours, theirs = pair
    theirs.send(b"x")
    selector.register(ours, selectors.EVENT_READ)
    other = gevent.spawn(lambda: None)
    for _ in range(20):
        selector.select(None)
    assert other.dead


def test_a_regular_file_is_refused(selector: HubSelector, tmp_path: Any):
    """The kernel's error comes through, as with asyncio's own selector."""
    with (tmp_path / "file").open("wb") as file, pytest.raises(PermissionError):
        selector.register(file, selectors.EVENT_READ)


def test_a_reader_beside_a_timer_that_is_due_is_called(pair: Any):
    """As psycopg waits in coroutines: a reader anew for each wait of no length."""
    ours, theirs = pair
    theirs.send(b"x")

    async def main() -> str:
        loop = asyncio.get_running_loop()
        for _ in range(100):
            ready: asyncio.Future[str] = loop.create_future()

            def done(what: str, ready: asyncio.Future[str] = ready) -> None:
                if not ready.done():
                    ready.set_result(what)

            loop.add_reader(ours, done, "readable")
            timer = loop.call_later(0, done, "timer")
            what = await ready
            loop.remove_reader(ours)
            timer.cancel()
            if what == "readable":
                break
        return what

    assert asyncio.run(main()) == "readable"


def test_a_wait_that_is_woken_finds_nothing(selector: HubSelector):
    """And one that is woken before it begins does not wait."""
    waiting = gevent.spawn(selector.select, None)
    until(lambda: selector._waiter is not None, "waiting")
    assert selector.wake()
    assert waiting.get(timeout=15) == []
    assert selector.wake()
    assert gevent.spawn(selector.select, None).get(timeout=15) == []
    told: list[bool] = []
    selector.before_wait = lambda: told.append(True)
    selector.select(0.001)
    assert told == [True], "the one after that waits"


def test_another_native_thread_cannot_wake_it(selector: HubSelector):
    """The loop has to send a byte through its socket instead."""
    assert offload(selector.wake) is False
    assert selector.wake() is True


def test_it_waits_on_the_hub_of_the_thread_that_runs_it(selector: HubSelector, pair: Any):
    """A loop may be made in one native thread and run in another."""
    ours, theirs = pair
    selector.register(ours, selectors.EVENT_READ)
    theirs.send(b"x")
    assert [key.fileobj for key, _ in offload(selector.select, None)] == [ours]
    assert selector.wake() is False
    ours.recv(1)
    assert selector.select(0.001) == []
    assert selector.wake() is True


def test_before_it_waits_it_tells(selector: HubSelector, pair: Any):
    """Not when something has happened already, nor when it must not wait."""
    ours, theirs = pair
    told: list[bool] = []
    selector.before_wait = lambda: told.append(True)
    selector.register(ours, selectors.EVENT_READ)
    selector.select(0)
    assert told == []
    selector.select(0.001)
    assert told == [True]
    theirs.send(b"x")
    selector.select(None)
    assert told == [True]


def test_a_killed_wait_leaves_nothing_behind(selector: HubSelector, pair: Any):
    """The next wait sees what happens, and nobody else is switched to."""
    ours, theirs = pair
    selector.register(ours, selectors.EVENT_READ)
    killed = gevent.spawn(selector.select, 30)
    until(lambda: selector._waiter is not None, "waiting")
    killed.kill(timeout=15)
    assert selector._waiter is None
    assert not selector._watcher.active
    theirs.send(b"x")
    assert [key.fileobj for key, _ in selector.select(None)] == [ours]
