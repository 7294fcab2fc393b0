"""One connection, used in turns; a turn begins with a savepoint and may go back to it.

Savepoints are set and ended by stewards: greenlets that no other code has a reference to,
so that they are never killed and each turn ends as it should.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from contextlib import closing
from typing import Any

import gevent
from django.db import OperationalError

from concurrency.tasks.names import name_of
from concurrency.testing.turns import Turn, Turns

logger = logging.getLogger("concurrency.testing")


class SavepointTurn(Turn):
    """A turn that begins with a savepoint."""

    __slots__ = ("savepoint", "steward")

    def __init__(self) -> None:
        super().__init__()
        self.savepoint: str | None = None
        self.steward: Any = None


class SharedConnection:
    """One connection, its lender, and the turns with it."""

    def __init__(self, lender: Any) -> None:
        self.lender = lender
        self.raw = lender.connection
        lender.share()
        self.turns = Turns(self._bury)
        self._limit = lender.pool_options().timeout
        self._numbers = itertools.count(1)

    def is_current(self) -> bool:
        """Return whether the test's transaction goes on."""
        return self.lender.connection is self.raw and self.lender.in_atomic_block

    def enter(self, turn: Turn) -> None:
        """Wait for the use of the connection.

        Raises:
            OperationalError: it did not come in time, or the transaction has ended.
        """
        alias = self.lender.alias
        if not self.turns.enter(turn, self._limit):
            raise OperationalError(
                f"{alias!r}: {self._limit:g} s have passed and {name_of(self.turns.holder())} is "
                "still inside atomic, or in a statement, on the test's only connection. Let it "
                "end first, or use TransactionTestCase, where each greenlet has its own"
            )
        if not self.is_current():
            self.turns.end(turn)
            raise OperationalError(
                f"{alias!r}: the test's transaction has ended, and this greenlet goes on: "
                "join greenlets before the test returns"
            )

    def begin(self) -> SavepointTurn:
        """Take a turn, and set its savepoint."""
        turn = SavepointTurn()
        self.enter(turn)
        try:
            self._have_done(self._mark, turn)
        except BaseException:
            turn.is_ending = True
            self._steward(self._undo, turn)
            raise
        return turn

    def finish(self, turn: SavepointTurn, *, keep: bool) -> None:
        """End a turn, and keep what was done in it or go back to its savepoint."""
        turn.is_ending = True
        self._have_done(self._keep if keep else self._undo, turn)

    def abandon(self, turn: SavepointTurn) -> None:
        """End a turn and go back to its savepoint; never waits."""
        if not turn.is_ending:
            turn.is_ending = True
            self._steward(self._undo, turn)

    def _bury(self, turn: Turn) -> None:
        if isinstance(turn, SavepointTurn):
            self.abandon(turn)

    # Stewards: greenlets that are never killed, as no other code has a reference to them

    def _have_done(self, work: Callable[[SavepointTurn], None], turn: SavepointTurn) -> None:
        error = self._steward(work, turn).get()
        if error is not None:
            raise error

    def _steward(self, work: Callable[[SavepointTurn], None], turn: SavepointTurn) -> Any:
        before = turn.steward

        def run() -> Exception | None:
            if before is not None:
                before.join()
            try:
                work(turn)
            except Exception as error:  # noqa: BLE001 - raised in the greenlet that waits
                logger.debug("the turn of %s: %r", name_of(turn.owner()), error)
                return error
            return None

        turn.steward = gevent.spawn(run)
        return turn.steward

    def _mark(self, turn: SavepointTurn) -> None:
        name = f"turn_{next(self._numbers)}"
        self._execute(self.lender.ops.savepoint_create_sql(name))
        turn.savepoint = name

    def _keep(self, turn: SavepointTurn) -> None:
        try:
            self.enter(turn)
            self._execute(self.lender.ops.savepoint_commit_sql(turn.savepoint))
        except Exception:
            # As COMMIT does in a transaction that has failed.
            self._undo(turn)
            raise
        self.turns.end(turn)

    def _undo(self, turn: SavepointTurn) -> None:
        try:
            if turn.savepoint is not None and self.is_current():
                self.enter(turn)
                self._execute(self.lender.ops.savepoint_rollback_sql(turn.savepoint))
                self._execute(self.lender.ops.savepoint_commit_sql(turn.savepoint))
        finally:
            self.turns.end(turn)

    def _execute(self, sql: str) -> None:
        with self.lender.wrap_database_errors, closing(self.lender.create_cursor()) as cursor:
            cursor.execute(sql)
