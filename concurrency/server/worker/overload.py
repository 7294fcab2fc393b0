"""``Overload``: whether a line of requests is too long for good, and how long one may wait.

Pure: times in, times out. Knows neither requests nor who waits.
"""

from __future__ import annotations

import math

__all__ = ["Overload"]

# How long one may wait under overload: this many times the work of one request, within
# these limits, in seconds.
_FACTOR = 6
_LEAST, _MOST = 0.04, 0.06


class Overload:
    """Judges a line by the waits of those who come to its front.

    One long wait is an accident; no short one, for long, is an overload. It ends when
    there has been no long one for as long.

    Args:
        after: what "for long" means, in seconds.

    Attributes:
        is_on: whether there is an overload.
    """

    def __init__(self, after: float) -> None:
        self.after = after
        self.is_on = False
        # When the first of those long waits was seen after which there was no short one,
        # and the last that was not short.
        self._long_since = math.inf
        self._long_at = 0.0

    def patience(self, waited: float, now: float, work: float) -> float:
        """Return how long the first in the line may have waited; infinity: for ever.

        Args:
            waited: how long it has waited, in seconds.
            now: the time, in seconds.
            work: what one request takes of the time of all others; infinity when
                they wait for a place, and not for the processor.
        """
        enough = min(max(_FACTOR * work, _LEAST), _MOST)
        self._long_since = math.inf if waited < enough else min(self._long_since, now)
        if waited > enough / 2:
            self._long_at = now
        if self.is_on:
            self.is_on = now - self._long_at <= self.after
        else:
            self.is_on = now - self._long_since > self.after
        return enough if self.is_on else math.inf

    def line_is_empty(self) -> None:
        """Take note that nobody waits."""
        self._long_since = math.inf
