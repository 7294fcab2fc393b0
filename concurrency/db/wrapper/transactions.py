"""Cleans up after a transaction whose beginning or end is interrupted.

Django handles database errors there, but not a kill or a deadline, and a greenlet that
goes on afterwards has the same wrapper. Does not depend on pools.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from concurrency.db.wrapper.lending import Leased


class InterruptedTransactions(Leased):
    """Part of a pooled wrapper: keeps an interrupted transaction out of the next one."""

    def set_autocommit(
        self, autocommit: bool, force_begin_transaction_with_broken_autocommit: bool = False
    ) -> None:
        """Begin or end a transaction, as Django does; if interrupted, give the lease back.

        The state of the session is unknown then: a greenlet that goes on after its deadline
        could write into a transaction while it assumes autocommit.
        """
        try:
            with self._forgetting_hooks():
                super().set_autocommit(autocommit, force_begin_transaction_with_broken_autocommit)
        except Exception:
            raise
        except BaseException:
            if self.leasing.lease is not None and not self.in_atomic_block:
                self.release()
            raise

    def commit(self) -> None:
        """Commit, as Django does; if interrupted, drop the ``on_commit`` callbacks.

        Whether the commit took place is unknown, and the next commit is not theirs.
        """
        with self._forgetting_hooks():
            super().commit()

    def rollback(self) -> None:
        """Roll back, as Django does; drop the ``on_commit`` callbacks even if interrupted."""
        with self._forgetting_hooks():
            super().rollback()

    def savepoint_rollback(self, sid: str) -> None:
        """Roll back to a savepoint, likewise for the callbacks registered since then."""
        with self._forgetting_hooks(sid):
            super().savepoint_rollback(sid)

    @contextmanager
    def _forgetting_hooks(self, since: str | None = None) -> Iterator[None]:
        """Drop the ``on_commit`` callbacks if the block is interrupted.

        Args:
            since: drop only callbacks registered since this savepoint.
        """
        try:
            yield
        except Exception:
            raise
        except BaseException:
            older = [each for each in self.run_on_commit if since not in each[0]]
            self.run_on_commit = [] if since is None else older
            raise
