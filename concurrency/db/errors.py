"""Errors of the connection pool; all are subclasses of Django's database errors.

``concurrency.errors`` exports them; they are defined here because they need Django.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db.utils import InterfaceError, OperationalError

from concurrency.errors import ConcurrencyError


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A greenlet that holds a connection of a pool.

    Attributes:
        greenlet: what the greenlet runs, and where it was spawned.
        seconds: how long it has held the connection, in seconds.
        idle: seconds since its last statement; 0.0 while a statement runs.
        kept: why it keeps the connection while idle; None if it can give it back.
        activity: the request or job that it works on, if known.
        sql: its last statement, without the parameters.
        place: where it took the connection, if ``TRACK_LEASES`` is on.
    """

    greenlet: str
    seconds: float
    idle: float = 0.0
    kept: str | None = None
    activity: str | None = None
    sql: str | None = None
    place: str | None = None

    def __str__(self) -> str:
        facts = [f"{self.activity or self.greenlet} for {self.seconds:.1f} s"]
        if self.kept:
            facts.append(f"which keeps it while idle because {self.kept}")
        elif self.idle:
            facts.append(f"idle for {self.idle:.1f} s")
        if self.sql:
            facts.append(f"last statement {' '.join(self.sql.split())[:200]!r}")
        if self.place:
            facts.append(f"taken at {self.place}")
        return ", ".join(facts)


class PoolTimeout(ConcurrencyError, OperationalError):  # type: ignore[misc]
    """No connection became free in time.

    Attributes:
        alias: the database's alias.
        seconds: how long the caller waited, in seconds.
        max_size: the maximum number of connections of the pool.
        waiting: how many other greenlets were waiting when this one gave up.
        connecting: how many connections were being opened.
        discarding: how many connections were being cleaned or closed.
        refused: why the server refuses connections; None if it accepts them.
        holders: the holders of the connections, oldest lease first.
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
        refused: str | None = None,
        holders: tuple[Holder, ...] = (),
    ) -> None:
        self.alias = alias
        self.seconds = seconds
        self.max_size = max_size
        self.waiting = waiting
        self.connecting = connecting
        self.discarding = discarding
        self.refused = refused
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
        if self.refused is not None:
            return f"{text}. The server lets nobody in: {self.refused}"
        return f"{text}. Raise max_size or timeout, or hold connections for a shorter time."


class PoolStarvation(PoolTimeout):
    """All connections are held by greenlets that wait for children that need one.

    Attributes:
        circle: one sentence for each holder: what it holds, and what it waits for.
    """

    circle: tuple[str, ...] = ()

    def __str__(self) -> str:
        return (
            f"pool {self.alias!r} of {self.max_size} is starved: {'; '.join(self.circle)}. "
            f"Nobody could ever go on. Raise max_size above the number of parents, or fan "
            f"out outside of atomic, so that a parent lends its connection while it waits."
        )


class FanOutInAtomicBlock(ConcurrencyError, InterfaceError):  # type: ignore[misc]
    """A child greenlet uses a database while its parent waits for it inside ``atomic``.

    Attributes:
        alias: the database's alias.
        in_test: whether the transaction is that of a test that shares no connections.
    """

    def __init__(self, alias: str, *, in_test: bool = False) -> None:
        self.alias = alias
        self.in_test = in_test
        super().__init__(alias)

    def __str__(self) -> str:
        if self.in_test:
            return (
                f"database {self.alias!r} is used by the child of a test that runs inside a "
                f"transaction: the child has a connection of its own and sees none of the "
                f"test's rows. Let them share one: for manage.py test put "
                f"concurrency.testing.SharedConnectionsMixin before TestCase, for pytest add "
                f"-p concurrency.testing.plugin to addopts. Or use TransactionTestCase."
            )
        return (
            f"database {self.alias!r} is used by the child of a greenlet that waits for it "
            f"inside atomic: the child has a connection of its own, does not see what its "
            f"parent has written, and waits for ever for a row that its parent has locked. "
            f"Fan out before or after the transaction, or set "
            f"CONCURRENCY['FAN_OUT_IN_ATOMIC'] = 'allow'."
        )
