"""``Monitor``: logs which greenlet blocks the hub, while the hub is blocked.

A timer on the hub records each run; a native thread, which no greenlet can block, checks
the record. Greenlet switches cost nothing.
"""

from __future__ import annotations

import linecache
import logging
import time
import traceback
from types import FrameType
from typing import Any

from gevent.hub import get_hub
from gevent.monkey import get_original

from concurrency.db.pool.registry import leases
from concurrency.observe.greenlets import (
    is_running,
    request_of_running,
    running_in,
)
from concurrency.places import first_of_user, line_of

__all__ = ["Monitor"]

logger = logging.getLogger("concurrency.hub")

_start_new_thread = get_original("_thread", "start_new_thread")
_get_ident = get_original("_thread", "get_ident")
_sleep = get_original("time", "sleep")

# Checks within the time after which the hub counts as blocked.
_LOOKS = 4

# Functions in which the hub waits for events: then the process lacks CPU time, the hub is
# not blocked.
_HUB_RUN = "/gevent/hub.py"


class Monitor:
    """Watches the hub of the thread that creates it.

    Args:
        after: hub lag, in seconds, that is logged, once for each blockage.

    Attributes:
        checks: how often it has checked the hub.
    """

    def __init__(self, after: float) -> None:
        self._after = after
        self._period = after / _LOOKS
        self._thread = _get_ident()
        self._turned = time.monotonic()
        self._is_watching = True
        self.checks = 0
        self._hub: Any = get_hub()
        self._timer: Any = self._hub.loop.timer(self._period, self._period, ref=False)

    def start(self) -> None:
        """Watch until ``stop()``, or the end of the process."""
        self._turned = time.monotonic()
        self._timer.start(self._turn)
        _start_new_thread(self._watch, ())

    def stop(self) -> None:
        """Stop watching."""
        self._is_watching = False
        self._timer.close()

    def _turn(self) -> None:
        self._turned = time.monotonic()

    def _watch(self) -> None:
        """Check periodically; runs in a native thread."""
        reported = 0.0
        while self._is_watching:
            _sleep(self._period)
            self.checks += 1
            turned = self._turned
            late = time.monotonic() - turned - self._period
            if late > self._after and turned != reported:
                frames = running_in(self._thread)
                if frames and not frames[0].f_code.co_filename.endswith(_HUB_RUN):
                    reported = turned
                    self._report(late, frames)

    def _report(self, late: float, frames: list[FrameType]) -> None:
        request = request_of_running(self._hub)
        sql = _statement(frames)
        logger.warning(
            "%sthe hub is blocked for %.2f s, all other greenlets wait; it runs%s%s:\n%s",
            _line(frames),
            late,
            f" {request}" if request else " a greenlet outside of requests",
            f", SQL {sql!r}" if sql else "",
            "".join(traceback.format_stack(frames[0])).rstrip(),
        )


def _line(frames: list[FrameType]) -> str:
    """Return the line of the user's code that runs, for the beginning of a message."""
    own = first_of_user(frames)
    if own is None:
        return ""
    source = linecache.getline(own.f_code.co_filename, own.f_lineno).strip()
    return f"{line_of(own)} in {own.f_code.co_name}{f', `{source}`' if source else ''}: "


def _statement(frames: list[FrameType]) -> str:
    """Return the statement that some frames execute, or the last on their greenlet's lease."""
    for frame in frames:
        # The only source if one of Django's own backends blocks the hub.
        if frame.f_code.co_filename.endswith("django/db/backends/utils.py"):
            return str(frame.f_locals.get("sql", ""))
    statements = [lease.sql for lease in leases() if is_running(lease.owner())]
    return next((sql for sql in statements if sql), "")
