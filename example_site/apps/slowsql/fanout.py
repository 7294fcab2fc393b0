"""Ten pieces of slow work at the same time, and how long each of them took.

Does not depend on requests and responses: the views say what to run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import gevent
from django.db import DatabaseError

from concurrency import deadline, joinall, spawn
from example_site.apps.slowsql.loopback import LoopbackError
from example_site.apps.slowsql.reasons import reason
from example_site.timeline import Bar, Stopwatch, Timeline

__all__ = ["ChildError", "Outcome", "run_ten"]

NUMBERS = range(1, 11)
# What ten answers may take on top of the slow statement before they are given up.
MARGIN = 10.0

Square = Callable[[int, float], int]


class ChildError(Exception):
    """One of the ten failed; the others were stopped. As text it is for the log.

    Attributes:
        x: the number whose square was asked for.
        why: what it failed with.
    """

    def __init__(self, x: int, why: BaseException) -> None:
        self.x = x
        self.why = why
        super().__init__(x, why)

    def __str__(self) -> str:
        return f"x={self.x} failed: {type(self.why).__name__}: {self.why}"

    @property
    def sentence(self) -> str:
        """What strangers may read of it."""
        why = str(self.why) if isinstance(self.why, LoopbackError) else reason(self.why)
        return f"x={self.x} failed: {why}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The ten squares in the order of their numbers, and the picture of their making."""

    squares: tuple[int, ...]
    timeline: Timeline


def run_ten(square: Square, seconds: float, title: str) -> Outcome:
    """Square 1 to 10 at the same time, one greenlet each, and return all the answers.

    Args:
        square: does one: takes the number and how long to sleep, returns the square.
        seconds: how long each statement sleeps.
        title: a line for the timeline.

    Raises:
        ChildError: the first that failed; the others are stopped and over.
        DeadlineExceeded: ``seconds`` and a margin have passed without all answers.
    """
    stopwatch = Stopwatch()

    def run_one(x: int) -> tuple[int, Bar]:
        start = stopwatch.now()
        try:
            answer = square(x, seconds)
        except (LoopbackError, DatabaseError) as error:
            raise ChildError(x, error) from error
        return answer, Bar(f"x = {x}", start, stopwatch.now(), result=str(answer))

    with deadline(seconds + MARGIN):
        children = [spawn(run_one, x) for x in NUMBERS]
        try:
            done = joinall(children)
        finally:
            gevent.killall(children)  # when the time is over, or the client has gone
    squares = tuple(answer for answer, _ in done)
    bars = tuple(bar for _, bar in done)
    return Outcome(squares, Timeline(title, bars, stopwatch.now()))
