"""``Limits``: how long and how slow a client may be."""

from __future__ import annotations

import time
from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The patience of a server; times are in seconds.

    Attributes:
        head: in which the head of a request has to arrive, from its first byte on.
        stall: for which a client may neither send any of a body nor take any of a response.
        idle: for which it may wait before its next request; 0 ends the connection.
        rate: bytes a second that it has to send or take on average; 0 for none.
        over: which a rate is averaged: a phone in a tunnel is slow for less.
    """

    head: float
    stall: float
    idle: float
    rate: int = 0
    over: float = 30.0

    @property
    def shortest(self) -> float:
        """The shortest of the times."""
        return min(self.head, self.stall, self.idle or self.head)

    def until(self, began: float, moved: int) -> float:
        """Return when a client has to have sent or taken more.

        Args:
            began: when it began, on the monotonic clock.
            moved: bytes that it has sent or taken since.
        """
        stalls = time.monotonic() + self.stall
        if not self.rate:
            return stalls
        return min(stalls, began + max(self.over, moved / self.rate))
