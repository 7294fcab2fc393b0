"""Waiting until something is so, with a limit: no test sleeps for as long as it might take."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["LIMIT", "until"]

LIMIT = 30.0  # seconds until what a test waits for has to be so, on a machine that is busy
_LOOK = 0.005  # seconds between two looks; the patch lets other greenlets run meanwhile


def until(condition: Callable[[], bool], what: str = "", limit: float = LIMIT) -> None:
    """Return when a condition holds.

    Args:
        condition: is asked again and again; other greenlets run in between.
        what: names it in the failure.
        limit: seconds.

    Raises:
        AssertionError: it still did not hold after that time.
    """
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, f"after {limit} s still not so: {what or condition}"
        time.sleep(_LOOK)
