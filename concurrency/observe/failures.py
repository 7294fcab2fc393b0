"""Errors of greenlets that nobody waits for: once in the log, with where they were spawned.

gevent prints them to standard error, without a request id and without the place.
"""

from __future__ import annotations

import logging
import traceback
from types import FrameType, TracebackType
from typing import Any

import gevent
from gevent.hub import get_hub

from concurrency import context

__all__ = ["install"]

logger = logging.getLogger("concurrency.tasks")

# Frames of the spawning greenlet that are shown, the innermost.
_FRAMES = 6

# Where greenlets are started for others; what matters is who called them.
_OWN = ("/gevent/", "/concurrency/tasks/")


class _Handler:
    """The hub's ``handle_error``, which it lets applications replace."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def __call__(
        self,
        source: Any,
        kind: type[BaseException],
        error: BaseException,
        trace: TracebackType | None,
    ) -> None:
        if not isinstance(source, gevent.Greenlet) or not issubclass(kind, Exception):
            self._handle(source, kind, error, trace)
        elif not _is_waited_for(source):
            logger.error(
                "%r failed: %s: %s. It was spawned at:\n%s",
                source,
                kind.__name__,
                error,
                _place(source),
                exc_info=(kind, error, trace),
            )


def _is_waited_for(greenlet: Any) -> bool:
    """Return whether its error will be raised where somebody waits for it."""
    return any(greenlet in children() for children in list(context.waiting.values()))


def _place(greenlet: Any) -> str:
    """Return the calls that led to its start, as far as gevent has kept them."""
    frames: list[FrameType] = []
    frame = getattr(greenlet, "spawning_stack", None)
    while frame is not None:
        if not any(own in frame.f_code.co_filename for own in _OWN):
            frames.insert(0, frame)
        frame = frame.f_back
    stack = traceback.StackSummary.from_list(
        [(f.f_code.co_filename, f.f_lineno, f.f_code.co_name, None) for f in frames[-_FRAMES:]]
    )
    return "".join(stack.format()).rstrip() or "  (gevent does not track it)"


def install() -> None:
    """Log the errors of greenlets of this thread's hub from now on."""
    hub: Any = get_hub()
    if not isinstance(hub.handle_error, _Handler):
        hub.handle_error = _Handler(hub.handle_error)
