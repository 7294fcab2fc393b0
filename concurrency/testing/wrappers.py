"""The wrappers at both ends of a shared connection: the test's, and those of other greenlets.

A transaction of a borrower is a turn, and so is a statement of it in autocommit.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import Error

from concurrency.compat.django import is_of_test_case
from concurrency.db.wrapper.wrapper import PooledDatabaseWrapper
from concurrency.testing.cursors import in_turns, restore_class
from concurrency.testing.savepoints import SavepointTurn, SharedConnection
from concurrency.testing.turns import Turn

logger = logging.getLogger("concurrency.testing")


class _Sharer(PooledDatabaseWrapper):
    """What the wrappers at both ends have in common: each use of the connection is a turn."""

    sharing: SharedConnection

    def make_cursor(self, cursor: Any) -> Any:
        return in_turns(super().make_cursor(cursor))

    def make_debug_cursor(self, cursor: Any) -> Any:
        return in_turns(super().make_debug_cursor(cursor))

    def turn(self) -> Any:
        """Return a context manager for one use of the connection: each end has its own."""
        raise NotImplementedError


class Lender(_Sharer):
    """The wrapper of the test: it waits while another greenlet has its turn."""

    _turn: Turn | None = None

    def hides_from_children(self) -> bool:
        """Return whether an ``atomic`` is open that is not the test's own."""
        return any(not is_of_test_case(block) for block in self.atomic_blocks)

    @contextmanager
    def turn(self) -> Iterator[None]:
        if not self.sharing.is_current():  # pytest-django keeps connections open
            yield
            return
        turn = self._turn = self._turn or Turn()
        self.sharing.enter(turn)
        try:
            yield
        finally:
            if turn.depth > 1:
                self.sharing.turns.leave(turn)
            else:
                self.sharing.turns.end(turn)

    def _commit(self) -> None:
        self._wait_for_borrowers()
        super()._commit()

    def _rollback(self) -> None:
        self._wait_for_borrowers()
        super()._rollback()

    def _wait_for_borrowers(self) -> None:
        if self.sharing.turns.holder() is not None:
            logger.warning("%r: a test has ended before its greenlets", self.alias)
            turn = Turn()
            try:
                self.sharing.turns.enter(turn, 1.0)
            finally:
                self.sharing.turns.end(turn)

    def release(self) -> None:
        restore_class(self)
        self.release()


class Borrower(_Sharer):
    """The wrapper of another greenlet: connected to the test's connection."""

    autocommit: bool
    _turn: SavepointTurn | None = None

    def ensure_connection(self) -> None:
        """Use the test's connection while its transaction goes on, and lease one after it."""
        in_use = self.connection is not None and not self.in_atomic_block
        if in_use and not self.sharing.is_current():
            self.release()
            self.ensure_connection()
        else:
            super().ensure_connection()

    def obtain(self) -> None:
        """Borrow the connection of the test, in the place of a lease."""
        self.connection = self.sharing.raw
        self.adopt(self.sharing.lender)
        self.autocommit = self.settings_dict["AUTOCOMMIT"]
        self.leasing.link()

    @contextmanager
    def turn(self) -> Iterator[None]:
        turn, sharing = self._turn, self.sharing
        if turn is not None:
            sharing.enter(turn)
        else:
            turn = self._turn = sharing.begin()
            if self.autocommit:
                with self._statement(turn):
                    yield
                return
        try:
            yield
        finally:
            sharing.turns.leave(turn)

    @contextmanager
    def _statement(self, turn: SavepointTurn) -> Iterator[None]:
        """Make a turn of one statement outside any transaction."""
        try:
            yield
        except BaseException:
            self._turn = None
            try:
                self.sharing.finish(turn, keep=False)
            except Error as error:
                logger.warning("%r: cannot undo a statement: %s", self.alias, error)
            raise
        self._turn = None
        self.sharing.finish(turn, keep=True)

    # Transactions, which begin with their first statement

    def _start_transaction_under_autocommit(self) -> None:
        """Do nothing yet; SQLite's name for beginning."""

    def _set_autocommit(self, autocommit: bool) -> None:
        if autocommit:
            self._end_turn(keep=True)

    def _commit(self) -> None:
        self._end_turn(keep=True)

    def _rollback(self) -> None:
        self._end_turn(keep=False)

    def _end_turn(self, *, keep: bool) -> None:
        turn, self._turn = self._turn, None
        if turn is not None:
            self.sharing.finish(turn, keep=keep)

    # The connection is another's

    def release(self) -> None:
        turn, self._turn = self._turn, None
        if turn is not None:
            self.sharing.abandon(turn)
        self.connection = None
        self.has_left = True
        restore_class(self)

    def _close(self) -> None:
        self.release()

    def end(self) -> None:
        """Give up what is borrowed."""
        self.release()
        self.forget_transaction()

    def lend(self) -> None:
        """Do nothing: between its turns nothing is held."""

    def rest(self) -> None:
        """Do nothing, for the same reason."""

    def is_usable(self) -> bool:
        """Return whether the test's transaction goes on."""
        return self.sharing.is_current()

    def before_statement(self, sql: Any) -> None:
        """Tell the lender, whose session it is that may be changed."""
        self.sharing.lender.before_statement(sql)

    @contextmanager
    def keep(self) -> Iterator[None]:
        """Have the session reset after the test."""
        with self.sharing.lender.keep():
            yield
