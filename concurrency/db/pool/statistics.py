"""``PoolStatistics``: the state of a pool at one moment."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolStatistics:
    """The state of one pool at one moment.

    ``open + connecting + discarding`` never exceeds ``max_size``.

    Attributes:
        max_size: the maximum number of connections of the pool.
        open: connections that are open: ``in_use + idle``.
        in_use: connections that are leased.
        idle: connections that are free to be leased.
        connecting: connections that are being opened.
        discarding: connections that are being cleaned or closed, until the
            server confirms it or the time limit is reached.
        waiting: greenlets that wait for a connection.
        timeouts: requests for a connection that failed since the process started.
    """

    max_size: int
    open: int
    in_use: int
    idle: int
    connecting: int
    discarding: int
    waiting: int
    timeouts: int
