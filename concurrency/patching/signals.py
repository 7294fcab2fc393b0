"""Waiting in the hub, where a handler of ``signal.signal`` may be called.

Python calls such a handler wherever the main thread happens to be, in an idle process in
gevent's hub. A hub cannot switch to itself, so a wait there turns its loop until it is
over. Nothing else that runs in a hub may wait: that gets an error which says what to do.
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
    """Return what a waiter of gevent is given, in a greenlet or in a signal handler.

    Args:
        waiter: somebody else switches to it.
        seconds: how long to wait; when they are over the value is None.

    Raises:
        BlockingSwitchOutError: this is the hub, and no signal handler.
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
    """Let the hub that runs this go on with its loop until a wait of a signal handler is over.

    Args:
        is_over: tells whether it is; something in the loop must make it so.
        error: what gevent has raised, as nobody may wait here.
        seconds: how long to wait.

    Raises:
        BlockingSwitchOutError: this is no signal handler.
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
    """Return whether the handler of a signal is among the callers."""
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
