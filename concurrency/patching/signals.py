"""Waits in the hub, where a ``signal.signal`` handler can run.

Python runs such a handler wherever the main thread currently is; in an idle process that is
gevent's hub. A hub cannot switch to itself, so a wait there runs its loop until the wait is
over. Other code in a hub must not wait: it gets an error that names the remedy.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from types import CodeType, FrameType
from typing import Any

import gevent
from gevent.exceptions import BlockingSwitchOutError
from gevent.hub import get_hub

__all__ = ["codes_of", "get", "turn_hub"]


def get(waiter: Any, seconds: float | None = None) -> Any:
    """Return the value of a gevent waiter, in a greenlet or in a signal handler.

    Args:
        waiter: other code switches to it.
        seconds: how long to wait, in seconds; after that the value is None.

    Raises:
        BlockingSwitchOutError: called in the hub outside of a signal handler.
    """
    try:
        if seconds is None:
            return waiter.get()
        return gevent.with_timeout(seconds, waiter.get, timeout_value=None)
    except BlockingSwitchOutError as error:
        turn_hub(waiter.ready, error, seconds)
        return waiter.get() if waiter.ready() else None


def turn_hub(
    is_over: Callable[[], bool], error: BlockingSwitchOutError, seconds: float | None = None
) -> None:
    """Run the current hub's loop until a wait of a signal handler is over.

    Args:
        is_over: returns whether it is over; an event in the loop must change it.
        error: the error that gevent has raised for a wait in the hub.
        seconds: how long to wait, in seconds.

    Raises:
        BlockingSwitchOutError: not called in a signal handler.
    """
    if not _is_in_signal_handler():
        raise BlockingSwitchOutError(
            "a database was used in gevent's hub, which must not wait: by a callback of a "
            "timer or of rawlink(), or by a finaliser that happened to run there. Start a "
            "greenlet for it, with concurrency.spawn() or gevent.spawn(); for a signal, use "
            "gevent.signal_handler(), which does so."
        ) from error
    loop: Any = get_hub().loop
    timer = loop.timer(seconds or 0.0)
    if seconds is not None:
        timer.start(lambda: None)
    try:
        while not is_over() and (seconds is None or timer.active):
            loop.run(once=True)
    finally:
        timer.close()


def _is_in_signal_handler() -> bool:
    """Return whether a signal handler is among the callers."""
    handlers = [signal.getsignal(number) for number in signal.valid_signals()]
    codes = {code for handler in handlers for code in codes_of(handler)}
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code in codes:
            return True
        frame = frame.f_back
    return False


def codes_of(handler: Any) -> Iterator[CodeType]:
    """Yield the code of a signal handler, and of the methods that it overrides."""
    handler = getattr(handler, "func", handler)  # of a partial
    owner = getattr(handler, "__self__", None)
    name = getattr(handler, "__name__", "")
    if owner is None and not hasattr(handler, "__code__"):
        owner, name = handler, "__call__"
    found = [vars(base).get(name) for base in type(owner).__mro__] if owner is not None else []
    for function in (handler, *found):
        code = getattr(function, "__code__", None)
        if code is not None:
            yield code
