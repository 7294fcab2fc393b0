"""The part of a wrapper that gives its lease back, and knows when another may have it meanwhile.

A greenlet lends while it waits for others, and loses its lease when it is idle while
others wait. In both cases it takes another one with its next statement.
"""

from __future__ import annotations

import _thread
from contextlib import AbstractContextManager
from typing import Any

from django.db import DEFAULT_DB_ALIAS

from concurrency.db.wrapper.leasing import Leasing
from concurrency.db.wrapper.overriding import CLOSING, overrides
from concurrency.db.wrapper.template import HasPool


class Leased(HasPool):
    """Part of a pooled wrapper: its lease, and how it ends.

    Attributes:
        leasing: what it holds of the pool.
    """

    # Django's own attributes, of which it gives no types.
    connection: Any
    savepoint_ids: list[Any]
    atomic_blocks: list[Any]
    run_on_commit: list[Any]

    def __init__(self, settings_dict: dict[str, Any], alias: str = DEFAULT_DB_ALIAS) -> None:
        super().__init__(settings_dict, alias)
        self.leasing = Leasing(self)
        # Whether the connection has gone and close(), which may be overridden, was not called.
        self.has_left = False
        # Whether what has to be set up is being set up now.
        self.is_setting_up = False
        kind: Any = type(self)
        self._closes_itself = overrides(kind, *CLOSING)

    # Giving back

    def release(self) -> None:
        """Give the lease back, in the hub as well; ``connect()`` calls ``close()`` later."""
        if self.leasing.lease is not None:
            self.connection = None
            self.has_left = True
            self.leasing.give_back()

    def leave(self) -> None:
        """Give the lease back as Django closes a connection: by ``close()``.

        A backend that remembers something of its connection overrides that. Where it must not
        be called, as in the hub, ``connect()`` does it before the next lease.
        """
        if not self._closes_itself:
            self.release()
            self.has_left = False
            self.run_on_commit = []
            return
        try:
            if self._thread_ident == _thread.get_ident() or self.allow_thread_sharing:
                self.close()
        finally:
            self.release()

    def _close(self) -> None:
        if self.leasing.lease is None:
            super()._close()
        else:
            self.release()
            self.has_left = False

    def end(self) -> None:
        """Give back whatever is held; for a greenlet or thread whose work has ended."""
        if self.leasing.lease is not None:
            self.leave()
            self.forget_transaction()

    def forsake(self) -> None:
        """Forget the lease; called in a child process, to whose parent it belongs."""
        self.leasing.lease = self.connection = None
        self.has_left = True
        self.forget_transaction()

    def owner_ended(self, greenlet: Any) -> None:
        """Give back what an ended greenlet still holds; runs in the hub."""
        if not self.is_shared():
            self.release()

    def forget_transaction(self) -> None:
        """Be outside any transaction, as after Django's ``connect()``."""
        self.in_atomic_block = False
        self.savepoint_ids = []
        self.atomic_blocks = []
        self.needs_rollback = False
        self.closed_in_transaction = False

    # Lending

    def lend(self) -> None:
        """Give the lease back while this greenlet waits, if nothing depends on it."""
        leasing = self.leasing
        if leasing.lease is None or leasing.pool is None:
            return
        if leasing.is_lendable() and self._bond() is None:
            self.leave()
        else:
            leasing.pool.look_for_starvation()

    def rest(self) -> None:
        """Give the lease back when a piece of work has ended, if nothing depends on it."""
        if self.leasing.lease is not None and self._bond() is None:
            self.leave()

    def keep(self) -> AbstractContextManager[None]:
        """Keep the lease for the length of a block; see ``keep_lease``."""
        return self.leasing.keep()

    def _bond(self) -> str | None:
        """Return why the connection belongs to this greenlet alone, None if it does not."""
        if self.in_atomic_block:
            return "it is inside atomic"
        if not self.autocommit:
            return "autocommit is off"
        if self.is_shared():
            return "other threads share it"
        return self.leasing.bond()

    def bound_by(self) -> str | None:
        """Return why the lease must not be taken from an idle greenlet, None if it may.

        Never waits. Called by the pool, from other greenlets and threads.
        """
        if self.is_setting_up:
            return "it is being set up"
        leasing = self.leasing
        return leasing.bond_of_idle() or self._bond() or leasing.handle_of_user()

    def reclaim(self) -> bool:
        """Give the lease back for a greenlet that is idle; it takes another when it goes on."""
        if self.bound_by() is not None:
            return False
        self.release()
        return True

    # Others

    def share(self) -> None:
        """Let others execute on the connection, in turns with its owner."""
        if self.leasing.lease is not None:
            self.leasing.lease.is_shared = True

    def is_shared(self) -> bool:
        """Return whether other greenlets may use this wrapper, as Django's tests do."""
        return bool(self.allow_thread_sharing)

    def hides_from_children(self) -> bool:
        """Return whether children do not see what this greenlet has written."""
        return bool(self.in_atomic_block)
