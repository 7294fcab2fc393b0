"""Finds the leases that dead and idle greenlets hold.

Some greenlets cannot be linked (the main one, a raw greenlet, a callback in the hub), so
their leases do not end with them; a periodic check finds those. A greenlet that lives
long, such as a thread, can hold a connection that it does not use; the pool takes that
back when others wait.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from concurrency.conf import conf
from concurrency.db.drivers import home
from concurrency.db.pool.lease import Lease
from concurrency.db.pool.slots import Slots

logger = logging.getLogger("concurrency.db")

#: The pool notices a dead owner that could not be linked within this many seconds.
INTERVAL = 1.0

#: Seconds without a statement after which a greenlet counts as idle.
IDLE = 1.0


class Reaper:
    """Watches the leases of one pool. Never waits, so it can be called in the hub.

    Args:
        alias: name of the database, for messages.
        slots: the state of the pool.
    """

    def __init__(self, alias: str, slots: Slots) -> None:
        self._alias = alias
        self._slots = slots

    def orphans(self) -> list[Lease]:
        """Return the leases that no greenlet can give back any more; report old leases."""
        found = []
        for lease in self._slots.leases():
            if lease.is_orphan():
                found.append(lease)
                if logger.isEnabledFor(logging.DEBUG):
                    home.spawn(self._log_orphan, lease)
            elif not lease.was_reported:
                self._report_if_old(lease)
        return found

    def reclaim(self) -> None:
        """Record which greenlets are idle, and take back one lease for each waiter."""
        now = time.monotonic()
        wanted = self._slots.statistics().waiting
        for lease in self._slots.leases():
            if (connection := lease.connection) is None or not connection.is_at_rest():
                lease.idle_since = 0.0
            elif not lease.idle_since:
                lease.idle_since = now
            elif wanted > 0 and now - lease.idle_since >= IDLE:
                holder = lease.holder()
                if holder is not None and holder.reclaim():
                    wanted -= 1

    def _report_if_old(self, lease: Lease) -> None:
        limit = conf.LEASE_WARNING
        if limit is not None and time.monotonic() - lease.since > limit:
            lease.was_reported = True
            home.spawn(self._log_old, lease)

    # Naming a greenlet can run user code, and so can logging. Both run in greenlets of the
    # pool: a handler that waits must not delay a greenlet that waits for a connection.

    def _log_orphan(self, lease: Lease) -> None:
        logger.debug("pool %r: %r left without giving it back", self._alias, lease)

    def _log_old(self, lease: Lease) -> None:
        logger.warning("pool %r: held by %s", self._alias, lease.describe())


class Rounds:
    """Calls a function periodically in the hub of the pools, as long as there is work.

    Args:
        work: called in the hub; returns whether to continue. Must not wait.
    """

    def __init__(self, work: Callable[[], bool]) -> None:
        self._work = work
        self._timer: Any = None
        self._is_wanted = False

    def start(self) -> None:
        """Start the timer if it is not running; never waits, callable from any thread."""
        if not self._is_wanted:
            self._is_wanted = True
            home.run(self._start)

    def stop(self) -> None:
        """Stop the timer."""
        self._is_wanted = False
        if self._timer is not None:
            self._timer.close()
            self._timer = None

    def _start(self) -> None:
        if self._is_wanted and self._timer is None:
            self._timer = home.hub.loop.timer(INTERVAL, INTERVAL, ref=False)
            self._timer.start(self._go_on)

    def _go_on(self) -> None:
        if not self._work():
            self.stop()
