"""Taking back what dead and idle greenlets hold, and closing what is idle for too long.

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
from concurrency.db.pool.connection import PooledConnection
from concurrency.db.pool.lease import Lease
from concurrency.db.pool.slots import Slots

logger = logging.getLogger("concurrency.db")

#: A dead owner without a link to its death is noticed within this many seconds.
INTERVAL = 1.0

#: Seconds without a statement after which a greenlet counts as idle.
IDLE = 1.0


class Reaper:
    """Looks after the leases and the idle connections of one pool.

    Args:
        alias: name of the database, for messages.
        slots: what it looks at.
        give_back: ends a lease.
        close: closes a connection that is in no slot's use any more.
    """

    def __init__(
        self,
        alias: str,
        slots: Slots,
        give_back: Callable[[Lease], None],
        close: Callable[[PooledConnection], None],
    ) -> None:
        self._alias = alias
        self._slots = slots
        self._give_back = give_back
        self._close = close
        self._timer: Any = None
        self._is_watching = False

    def reap(self) -> None:
        """Do it once. Never waits, so that it may run in the hub."""
        leases = self._slots.leases()
        for lease in leases:
            if lease.is_orphan():
                if logger.isEnabledFor(logging.DEBUG):
                    home.spawn(self._log_orphan, lease)
                self._give_back(lease)
            elif not lease.was_reported:
                self._report_if_old(lease)
        self._reclaim(leases)
        for connection in self._slots.shrink():
            home.spawn(self._close, connection)

    def _reclaim(self, leases: list[Lease]) -> None:
        """Note which greenlets are idle, and take from as many as are waited for."""
        now = time.monotonic()
        wanted = self._slots.statistics().waiting
        for lease in leases:
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

    # From time to time

    def watch(self) -> None:
        """Do it from now on, as long as there is anything to look after.

        To be called before anything comes into a pool that may be quiet.
        """
        if not self._is_watching:
            self._is_watching = True
            home.run(self._start)

    def _start(self) -> None:
        if self._is_watching and self._timer is None:
            self._timer = home.hub.loop.timer(INTERVAL, INTERVAL, ref=False)
            self._timer.start(self._reap_in_hub)

    def stop(self) -> None:
        """Do it no more."""
        self._is_watching = False
        if self._timer is not None:
            self._timer.close()
            self._timer = None

    def _reap_in_hub(self) -> None:
        self.reap()
        if self._slots.is_quiet():
            self.stop()
