"""Finding what dead and idle greenlets hold.

A greenlet without a link to its death (the main one, a bare one, a callback of the
hub) cannot give back what it holds when it ends. It is noticed from time to time. One
that lives for long, as a thread, may hold a connection that it does not use: that is
taken back when others wait.
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

#: A dead owner without a link to its death is noticed within this many seconds.
INTERVAL = 1.0

#: Seconds without a statement after which a greenlet counts as idle.
IDLE = 1.0


class Reaper:
    """Looks after the leases of one pool. Never waits, so that it may be asked in the hub.

    Args:
        alias: name of the database, for messages.
        slots: what it looks at.
    """

    def __init__(self, alias: str, slots: Slots) -> None:
        self._alias = alias
        self._slots = slots

    def orphans(self) -> list[Lease]:
        """Return the leases that nobody is left to give back; report those that are old."""
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
        """Note which greenlets are idle, and take from as many as are waited for."""
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

    # Naming a greenlet may be code of the user, as logging is. In greenlets of the pool, or a
    # handler that waits would keep one who only waits for a connection.

    def _log_orphan(self, lease: Lease) -> None:
        logger.debug("pool %r: %r left without giving it back", self._alias, lease)

    def _log_old(self, lease: Lease) -> None:
        logger.warning("pool %r: held by %s", self._alias, lease.describe())


class Rounds:
    """Calls a function from time to time in the hub of the pools, while there is a need.

    Args:
        work: called in the hub; returns whether to go on. Must not wait.
    """

    def __init__(self, work: Callable[[], bool]) -> None:
        self._work = work
        self._timer: Any = None
        self._is_wanted = False

    def start(self) -> None:
        """Go on from now on; never waits, and may be called from any thread."""
        if not self._is_wanted:
            self._is_wanted = True
            home.run(self._start)

    def stop(self) -> None:
        """Begin no round any more."""
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
