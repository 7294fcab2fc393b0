"""``PoolStatistics``: what a pool looks like at one moment."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolStatistics:
    """One pool at one moment.

    ``open + connecting + discarding`` never exceeds ``max_size``.

    Attributes:
        max_size: the most connections that the pool may have.
        open: connections that are open: ``in_use + idle``.
        in_use: connections that are held by somebody.
        idle: connections that wait to be used.
        connecting: connections that are being opened.
        discarding: connections that are being cleaned or closed, until the
            server has confirmed it or the time for it is spent.
        waiting: greenlets that wait for a connection.
        timeouts: how many have waited in vain since the process started.
    """

    max_size: int
    open: int
    in_use: int
    idle: int
    connecting: int
    discarding: int
    waiting: int
    timeouts: int
