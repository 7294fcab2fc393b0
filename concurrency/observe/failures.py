"""Logs errors of greenlets that are never joined, once, with the place of their spawn.

gevent prints them to standard error without request id and place, and ends the process if
the error is a ``SystemExit`` or a ``KeyboardInterrupt``.
"""

from __future__ import annotations

import dis
import logging
import signal
import traceback
from itertools import islice
from types import TracebackType
from typing import Any

import gevent
from gevent.hub import get_hub

from concurrency import kinship
from concurrency.hub.callbacks import outside_hub
from concurrency.patching.signals import codes_of
from concurrency.places import is_machinery, outwards

__all__ = ["install"]

logger = logging.getLogger("concurrency.tasks")

# Number of innermost frames of the spawning greenlet that are shown.
_FRAMES = 6

_EXITS = (SystemExit, KeyboardInterrupt)


class _Handler:
    """The hub's ``handle_error``, which applications can replace."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def __call__(
        self,
        source: Any,
        kind: type[BaseException],
        error: BaseException,
        trace: TracebackType | None,
    ) -> None:
        is_exit = issubclass(kind, _EXITS)
        if source is None or (is_exit and _is_of_a_signal(kind, trace)):
            self._handle(source, kind, error, trace)
        elif isinstance(source, gevent.Greenlet):
            if not (is_exit or issubclass(kind, Exception)):
                self._handle(source, kind, error, trace)
            elif not _is_waited_for(source):
                outside_hub(_report, source, kind, error, trace)
        elif is_exit:
            # The error of a raw greenlet, or of a callback in the hub.
            outside_hub(_report, source, kind, error, trace)
        else:
            self._handle(source, kind, error, trace)


def _report(
    source: Any, kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    logger.error(
        "%r failed: %s: %s. It was spawned at:\n%s",
        source,
        kind.__name__,
        error,
        _place(source),
        exc_info=(kind, error, trace),
    )


def _is_of_a_signal(kind: type[BaseException], trace: TracebackType | None) -> bool:
    """Return whether a signal handler has raised an exit, in the greenlet that happened to run."""
    codes = set()
    last = None
    while trace is not None:
        codes.add(trace.tb_frame.f_code)
        last, trace = trace, trace.tb_next
    handlers = [signal.getsignal(number) for number in signal.valid_signals()]
    if any(code in codes for handler in handlers for code in codes_of(handler)):
        return True
    # Ctrl-C: Python's own handler leaves no frame, and interrupts anything but a `raise`.
    is_possible = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    return kind is KeyboardInterrupt and is_possible and not (last and _is_raised(last))


def _is_raised(last: TracebackType) -> bool:
    """Return whether the innermost frame of a traceback is at a ``raise``."""
    return dis.opname[last.tb_frame.f_code.co_code[last.tb_lasti]] in ("RAISE_VARARGS", "RERAISE")


def _is_waited_for(greenlet: Any) -> bool:
    """Return whether a greenlet waits for it, in which its error will be raised."""
    return any(greenlet in children() for children in list(kinship.waiting.values()))


def _place(greenlet: Any) -> str:
    """Return the calls that led to its spawn, if gevent has recorded them."""
    # Frames that spawn greenlets on behalf of a caller are left out.
    calls = outwards(getattr(greenlet, "spawning_stack", None))
    frames = list(islice((f for f in calls if not is_machinery(f.f_code)), _FRAMES))
    stack = traceback.StackSummary.from_list(
        [(f.f_code.co_filename, f.f_lineno, f.f_code.co_name, None) for f in reversed(frames)]
    )
    return "".join(stack.format()).rstrip() or "  (gevent does not track it)"


def install() -> None:
    """Log the errors of greenlets of this thread's hub from now on."""
    hub: Any = get_hub()
    if not isinstance(hub.handle_error, _Handler):
        hub.handle_error = _Handler(hub.handle_error)
