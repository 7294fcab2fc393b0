"""Errors of the connection pool, which are database errors to whoever catches them.

Reached as ``concurrency.errors``; defined here because they need Django.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db.utils import InterfaceError, OperationalError

from concurrency.errors import ConcurrencyError


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who holds a connection of a pool, and since when.

    Attributes:
        greenlet: the greenlet, as its ``repr``.
        seconds: for how long it has held the connection.
    """

    greenlet: str
    seconds: float

    def __str__(self) -> str:
        return f"{self.greenlet} for {self.seconds:.1f} s"


class PoolTimeout(ConcurrencyError, OperationalError):  # type: ignore[misc]
    """No connection became free in time.

    Attributes:
        alias: the database's alias.
        seconds: how long the caller has waited.
        max_size: the most connections that the pool may have.
        waiting: how many others were waiting when this one gave up.
        connecting: how many connections were being opened.
        discarding: how many closed ones the server had not confirmed.
        holders: who held the others, the oldest first.
    """

    def __init__(
        self,
        alias: str,
        *,
        seconds: float,
        max_size: int,
        waiting: int,
        connecting: int = 0,
        discarding: int = 0,
        holders: tuple[Holder, ...] = (),
    ) -> None:
        self.alias = alias
        self.seconds = seconds
        self.max_size = max_size
        self.waiting = waiting
        self.connecting = connecting
        self.discarding = discarding
        self.holders = holders
        super().__init__(alias)

    def __str__(self) -> str:
        text = (
            f"pool {self.alias!r}: no connection after {self.seconds:.2f} s; "
            f"{len(self.holders)} of {self.max_size} in use, {self.connecting} connecting, "
            f"{self.discarding} discarding, {self.waiting} others waiting"
        )
        if self.holders:
            text += f"; held by {', '.join(map(str, self.holders[:10]))}"
        if len(self.holders) > 10:
            text += f" and {len(self.holders) - 10} more"
        return f"{text}. Raise max_size or timeout, or hold connections for a shorter time."


class PoolStarvation(PoolTimeout):
    """All connections are held by greenlets that wait for children that need one."""


class FanOutInAtomicBlock(ConcurrencyError, InterfaceError):  # type: ignore[misc]
    """A child used a database while its parent waits inside ``atomic`` on it."""
