"""``Periodic``: periodic work that survives the failure of a single run.

A long-lived greenlet with a loop ends with the first error, and with `gevent.killall` of
all greenlets. A timer of the hub survives both. Does not depend on the function it calls.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import gevent
from gevent.hub import get_hub

__all__ = ["Periodic"]

logger = logging.getLogger("concurrency")


class Periodic:
    """Calls a function periodically, each time in a greenlet of its own.

    Runs do not overlap. An error is logged unless it is the same as in the previous run.

    Args:
        name: name of the work, for the log.
        seconds: interval in seconds.
        work: called in a greenlet; it may wait and fail.
        pulse: called in the hub before each run, with the hub lag in seconds. It must
            neither wait nor fail.
    """

    def __init__(
        self,
        name: str,
        seconds: float,
        work: Callable[[], object],
        *,
        pulse: Callable[[float], object] = lambda late: None,
    ) -> None:
        self._name = name
        self._seconds = seconds
        self._work = work
        self._pulse = pulse
        self._timer: Any = None
        self._greenlet: Any = None
        self._turned = 0.0
        self._complaint = ""

    def __repr__(self) -> str:
        return f"<Periodic {self._name}, every {self._seconds:g} s>"

    def start(self) -> None:
        """Start on the hub of this thread; the first run comes after the interval."""
        self._turned = time.monotonic()
        self._timer = get_hub().loop.timer(self._seconds, self._seconds, ref=False)
        self._timer.start(self._turn)

    def stop(self) -> None:
        """Start no further run; safe in a signal handler."""
        if self._timer is not None:
            self._timer.close()
            self._timer = None

    def _turn(self) -> None:
        """Start a run; called in the hub."""
        before, self._turned = self._turned, time.monotonic()
        self._pulse(max(0.0, self._turned - before - self._seconds))
        if self._greenlet is None or self._greenlet.dead:
            # A raw greenlet: a search for instances of `gevent.Greenlet` does not find it.
            self._greenlet = gevent.spawn_raw(self._once)

    def _once(self) -> None:
        try:
            self._work()
        except Exception as error:
            complaint = repr(error)
            if complaint != self._complaint:
                logger.error(
                    "%s failed: %s: %s; it is tried every %g s",
                    self._name,
                    type(error).__name__,
                    error,
                    self._seconds,
                    exc_info=not isinstance(error, OSError),
                )
            self._complaint = complaint
        else:
            self._complaint = ""
