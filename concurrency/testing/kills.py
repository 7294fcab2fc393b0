"""Kill a function at each place where it waits, one after the other.

A greenlet can be interrupted wherever it switches to the hub, and nowhere else. So
a function that is right after a kill at each of these places is right after any.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import gevent
import greenlet
from django.db import connections
from gevent.hub import get_hub

from concurrency import deadline
from concurrency.db import pool_statistics
from concurrency.testing.leaks import busy, close_idle, wait_until

How = Literal["kill", "timeout", "deadline"]

# Seconds that a run may take, and that pools get to settle afterwards.
_RUN_LIMIT = 30.0
_SETTLE_LIMIT = 10.0


def kill_at_every_switch(
    fn: Callable[[], object],
    check: Callable[[], object] | None = None,
    *,
    how: How = "kill",
    most: int = 1000,
) -> int:
    """Run ``fn()`` again and again, and interrupt it at its first, second, third ... wait.

    Each run is in a greenlet of its own. The interruption arrives before what the
    greenlet waits for. After each run every pool has to be as it was before: nothing
    leased, nothing being opened or discarded, and the next query served.

    Args:
        fn: what to run; it has to succeed when it is not interrupted, also after the
            interrupted runs.
        check: called after each run, to look whether what ``fn`` left is right.
        how: "kill" is ``Greenlet.kill``, "timeout" a ``gevent.Timeout``, and
            "deadline" a ``concurrency.deadline`` that runs out around ``fn``.
        most: the number of waits after which ``fn`` counts as endless.

    Returns:
        How many places there were.

    Raises:
        AssertionError: a pool is not right; notes say where the kill was.
        BaseException: what ``check`` raised, or ``fn`` in its last run, undisturbed.
    """
    close_idle()
    for number in range(1, most + 1):
        run = _Run(fn, number, how)
        run.to_the_end()
        run.examine(check)
        if run.place is None:
            return number - 1
    raise AssertionError(f"{fn} has waited {most} times and did not end")


class _Run:
    """One run of a function, and its interruption at one of its waits."""

    def __init__(self, fn: Callable[[], object], number: int, how: How) -> None:
        self._fn = fn
        self._number = number
        self._how = how
        self._waits = 0
        self._hub = get_hub()
        self._limit = deadline(None)
        self._timeout = gevent.Timeout(None)
        #: Where it was interrupted, as lines of a traceback; None if it ended before.
        self.place: str | None = None
        self._busy_before = busy()

    def to_the_end(self) -> None:
        """Run the function; raises what it raised if it was not interrupted."""
        self._victim: Any = gevent.Greenlet(self._body)
        with _tracing(self._look), gevent.Timeout(_RUN_LIMIT, self._stuck()):
            self._victim.start()
            self._victim.join()
        if self.place is None:
            self._victim.get()

    def _body(self) -> None:
        try:
            if self._how == "deadline":
                with self._limit:
                    self._fn()
            else:
                self._fn()
        except (Exception, gevent.Timeout):
            # The function may turn an interruption into any error.
            if self.place is None:
                raise

    def _look(self, target: Any) -> None:
        """Count how often the victim goes on; called at each switch, in its target."""
        if target is not self._victim:
            return
        self._waits += 1
        if self._waits == self._number:
            # Runs when the victim waits the next time, and before all that it has
            # started meanwhile could wake it.
            self._hub.loop.run_callback(self._interrupt)

    def _interrupt(self) -> None:
        """Interrupt the victim where it waits; runs in the hub."""
        if self._victim.dead:
            return
        self.place = "".join(traceback.format_stack(self._victim.gr_frame))
        if self._how == "kill":
            self._victim.throw(gevent.GreenletExit)
        elif self._how == "timeout":
            self._victim.throw(self._timeout)
        else:
            self._limit.expire()

    def examine(self, check: Callable[[], object] | None) -> None:
        """Check the state afterwards; an error names the place of the interruption."""
        try:
            _assert_settled(self._busy_before)
            if check is not None:
                check()
                close_idle()
        except BaseException as error:
            error.add_note(self.describe())
            raise

    def _stuck(self) -> AssertionError:
        error = AssertionError(f"{self._fn} has not ended within {_RUN_LIMIT:g} s")
        error.add_note(self.describe())
        return error

    def describe(self) -> str:
        """Return where the function was interrupted, for people to read."""
        if self.place is None:
            return "after a run without an interruption"
        return f"after a {self._how} at wait {self._number}:\n{self.place}"


@contextmanager
def _tracing(look: Callable[[Any], None]) -> Iterator[None]:
    """Call a function at each switch; a trace function that is set keeps being called."""
    previous: Any = greenlet.gettrace()

    def trace(event: Any, arguments: tuple[Any, Any]) -> None:
        if previous is not None:
            previous(event, arguments)
        if event in ("switch", "throw"):
            look(arguments[1])

    greenlet.settrace(trace)
    try:
        yield
    finally:
        if greenlet.gettrace() is trace:
            greenlet.settrace(previous)


def _assert_settled(before: dict[str, int]) -> None:
    """Wait until the pools are as they were, and have each serve a query."""

    def is_settled() -> bool:
        numbers = pool_statistics()
        return all(
            count <= before.get(alias, 0) and not numbers[alias].connecting
            for alias, count in busy().items()
        )

    def serve(alias: str) -> None:
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT 1")
            if cursor.fetchone() != (1,):
                raise AssertionError(f"{alias!r} returned a wrong result")

    for _ in range(2):
        if not wait_until(is_settled, _SETTLE_LIMIT):
            raise AssertionError(f"a pool is not whole: {pool_statistics()}")
        for alias in pool_statistics():
            gevent.spawn(serve, alias).get(timeout=_SETTLE_LIMIT)
