"""The part of a wrapper that gives its lease back, and decides when it can be lent.

A greenlet lends its connection while it waits for others, and loses its lease if it is
idle while others wait. In both cases its next statement takes a new lease.
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
        leasing: its lease, and the pool of it.
    """

    # Django's own attributes, which have no type hints.
    connection: Any
    savepoint_ids: list[Any]
    atomic_blocks: list[Any]
    run_on_commit: list[Any]

    def __init__(self, settings_dict: dict[str, Any], alias: str = DEFAULT_DB_ALIAS) -> None:
        super().__init__(settings_dict, alias)
        self.leasing = Leasing(self)
        # Whether the connection was given back without a call of close(), which a subclass
        # may override.
        self.has_left = False
        # Whether the session is being set up now.
        self.is_setting_up = False
        kind: Any = type(self)
        self._closes_itself = overrides(kind, *CLOSING)

    # Giving back

    def release(self) -> None:
        """Give the lease back, also in the hub; ``connect()`` calls ``close()`` later."""
        if self.leasing.lease is not None:
            self.connection = None
            self.has_left = True
            self.leasing.give_back()

    def leave(self) -> None:
        """Give the lease back as Django closes a connection: by ``close()``.

        A backend that keeps state of its connection overrides ``close()``. Where that must
        not run, as in the hub, ``connect()`` calls it before the next lease.
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
        """Give the lease back; for a greenlet or thread whose work has ended."""
        if self.leasing.lease is not None:
            self.leave()
            self.forget_transaction()

    def forsake(self) -> None:
        """Forget the lease; called in a child process, as it belongs to the parent."""
        self.leasing.lease = self.connection = None
        self.has_left = True
        self.forget_transaction()

    def owner_ended(self, greenlet: Any) -> None:
        """Give back the lease of a greenlet that has ended; runs in the hub."""
        if not self.is_shared():
            self.release()

    def forget_transaction(self) -> None:
        """Leave any transaction, as Django's ``connect()`` does."""
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
        """Give the lease back at the end of a piece of work, if nothing depends on it."""
        if self.leasing.lease is not None and self._bond() is None:
            self.leave()

    def keep(self) -> AbstractContextManager[None]:
        """Keep the lease for the length of a block; see ``keep_lease``."""
        return self.leasing.keep()

    def _bond(self) -> str | None:
        """Return why only this greenlet can use the connection, None if any could."""
        if self.in_atomic_block:
            return "it is inside atomic"
        if not self.autocommit:
            return "autocommit is off"
        if self.is_shared():
            return "other threads share it"
        return self.leasing.bond()

    def bound_by(self) -> str | None:
        """Return why the pool must not take the lease from an idle greenlet, None if it may.

        Never waits. The pool calls it from other greenlets and threads.
        """
        if self.is_setting_up:
            return "it is being set up"
        leasing = self.leasing
        return leasing.bond_of_idle() or self._bond() or leasing.handle_of_user()

    def reclaim(self) -> bool:
        """Give back the lease of an idle greenlet; its next statement takes a new one."""
        if self.bound_by() is not None:
            return False
        self.release()
        return True

    # Sharing

    def share(self) -> None:
        """Let other greenlets execute on the connection, in turns with its owner."""
        if self.leasing.lease is not None:
            self.leasing.lease.is_shared = True

    def is_shared(self) -> bool:
        """Return whether other greenlets may use this wrapper, as Django's tests do."""
        return bool(self.allow_thread_sharing)

    def hides_from_children(self) -> bool:
        """Return whether this greenlet may have written rows that its children cannot see."""
        return bool(self.in_atomic_block)
