"""What is left of a transaction whose beginning or end is interrupted.

Django knows errors of the database there; a kill or a deadline is neither an answer
nor an error, and a greenlet that goes on afterwards has the same wrapper. It knows
nothing of pools.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from concurrency.db.wrapper.lending import Leased


class InterruptedTransactions(Leased):
    """Part of a pooled wrapper: nothing of an interrupted transaction reaches the next one."""

    def set_autocommit(
        self, autocommit: bool, force_begin_transaction_with_broken_autocommit: bool = False
    ) -> None:
        """Begin or end a transaction, as Django's; give the lease back if that is interrupted.

        Nobody would know whether the session has done it. A greenlet that goes on after
        its deadline would write into a transaction that it believes to be autocommit.
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
        """Commit, as Django's; if that is interrupted, nothing that waits for it is called.

        Nobody would know whether it took place, and the next commit is another one.
        """
        with self._forgetting_hooks():
            super().commit()

    def rollback(self) -> None:
        """Roll back, as Django's; what waits for a commit waits no more, come what may."""
        with self._forgetting_hooks():
            super().rollback()

    def savepoint_rollback(self, sid: str) -> None:
        """Go back to a savepoint, as Django's; the same holds for what waits since then."""
        with self._forgetting_hooks(sid):
            super().savepoint_rollback(sid)

    @contextmanager
    def _forgetting_hooks(self, since: str | None = None) -> Iterator[None]:
        """Forget what waits for a commit if the block is interrupted.

        Args:
            since: forget only what waits since this savepoint.
        """
        try:
            yield
        except Exception:
            raise
        except BaseException:
            older = [each for each in self.run_on_commit if since not in each[0]]
            self.run_on_commit = [] if since is None else older
            raise
