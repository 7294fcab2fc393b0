"""``run`` and ``SharedLoop``: coroutines from greenlets, explicitly."""

from __future__ import annotations

import inspect
import os
import weakref
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import gevent
import greenlet
from asgiref.sync import async_to_sync
from gevent.event import Event

from concurrency import kinship
from concurrency.aio import runner
from concurrency.aio.loop import HubLoop
from concurrency.compat.asgiref import variables_of_call
from concurrency.patching.lateness import is_patched

T = TypeVar("T")

# Holds the loops of a tree of greenlets, in the context of the tree's root.
_ATTRIBUTE = "_concurrency_kept_loops"


def run(what: Awaitable[T] | Callable[..., Awaitable[T]], /, *args: Any) -> T:
    """Run a coroutine to its end, and return its result.

    ``sync_to_async`` code in it runs in this greenlet, on its connection and in its
    transaction. A kill or a deadline of this greenlet cancels the coroutine. A
    greenlet and its children reuse the same loops, so a connection that an asynchronous
    client has left open can serve the next call.

    Args:
        what: a coroutine, or a function that returns one.
        args: for the function.

    Raises:
        RuntimeError: a loop is running in this greenlet, or the process is not patched
            and this is not its main greenlet.
        BaseException: what the coroutine raised, or what was thrown into this greenlet.
    """
    if not is_patched():
        _refuse_greenlets(what)
        return cast("T", _call(what, args))
    token = runner.kept.set(_kept_loops())
    try:
        return cast("T", _call(what, args))
    finally:
        runner.kept.reset(token)


def _call(what: Any, args: tuple[Any, ...]) -> Any:
    try:
        return async_to_sync(_await)(what, args)
    finally:
        if inspect.iscoroutine(what):
            what.close()  # a coroutine that never ran would warn


async def _await(what: Any, args: tuple[Any, ...]) -> Any:
    return await (what if inspect.isawaitable(what) else what(*args))


def _refuse_greenlets(what: Any) -> None:
    """Raise if a loop would block all greenlets."""
    if greenlet.getcurrent().parent is not None:
        if inspect.iscoroutine(what):
            what.close()
        raise RuntimeError(
            "this process is not patched, so that a loop would stop all greenlets while it "
            "waits: make `import concurrency.patch` the first statement of the entry point"
        )


def _kept_loops() -> runner.Kept:
    """Return the loops of this greenlet's tree."""
    root = gevent.getcurrent()
    for ancestor in kinship.ancestors():
        above = ancestor.greenlet()
        if above is not None and not above.dead:
            root = above
    found: runner.Kept | None = getattr(root, _ATTRIBUTE, None)
    if found is None:
        found = runner.Kept()
        setattr(root, _ATTRIBUTE, found)
        if isinstance(root, gevent.Greenlet):
            root.rawlink(found.end)
        else:
            weakref.finalize(root, found.end)
    return found


class SharedLoop:
    """A loop that lives across calls, for objects that are bound to one loop.

    An asynchronous client is bound to the loop on which it was first used. For one
    client per process, create a ``SharedLoop`` in a module, and call the client through
    it, from any greenlet. ``sync_to_async`` code runs in the calling greenlet. The loop
    starts at the first call; a child process gets one of its own.
    """

    def __init__(self) -> None:
        self._loop: HubLoop | None = None
        self._greenlet: gevent.Greenlet[..., None] | None = None
        self._process = 0

    def run(self, what: Awaitable[T] | Callable[..., Awaitable[T]], /, *args: Any) -> T:
        """Run a coroutine to its end on this loop, and return its result; as ``run``."""
        with _as_main_loop(self._running()):
            return cast("T", _call(what, args))

    def _running(self) -> HubLoop:
        if self._loop is None or self._process != os.getpid():
            self._process = os.getpid()
            self._loop = loop = HubLoop()
            started = Event()
            loop.call_soon(started.set)
            self._greenlet = gevent.spawn(runner.serve, loop)
            started.wait()
        return self._loop

    def close(self) -> None:
        """Cancel the tasks on the loop, and close it."""
        loop, self._loop = self._loop, None
        if loop is not None and self._greenlet is not None and self._process == os.getpid():
            loop.call_soon_threadsafe(loop.stop)
            self._greenlet.join()


@contextmanager
def _as_main_loop(loop: HubLoop) -> Iterator[None]:
    """Make asgiref run coroutines of this greenlet on a loop that is already running."""
    known = variables_of_call()
    before = dict(known)
    known.update(main_event_loop=loop, main_event_loop_pid=os.getpid(), task_context=None)
    try:
        yield
    finally:
        known.clear()
        known.update(before)
