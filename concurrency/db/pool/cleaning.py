"""Making a used connection fit for the next holder.

All of this is limited in time.
"""

from __future__ import annotations

import logging
import select as patched_select
from typing import Any

import gevent
from gevent.monkey import get_original

from concurrency.db.drivers.driver import KILL_BUDGET, Driver
from concurrency.db.pool.connection import PooledConnection

logger = logging.getLogger("concurrency.db")

_poll = get_original("select", "poll")


class _BudgetSpent(Exception):
    """The server has not answered within the budget."""


def is_alive(driver: Driver, raw: Any) -> bool:
    """Return whether an idle connection is still of use.

    A server that has ended a session has said so, or closed the socket: there is
    something to read. Only then a round trip is made.
    """
    if driver.is_closed(raw):
        return False
    descriptor = driver.fileno(raw)
    if descriptor is not None and not _is_readable(descriptor):
        return True
    try:
        with gevent.Timeout(KILL_BUDGET, _BudgetSpent):
            driver.ping(raw)
    except Exception as error:  # noqa: BLE001 - whatever it is, the connection is of no use
        logger.info("discarding a connection that the server has ended: %s", error)
        return False
    return driver.is_clean(raw)


def _is_readable(descriptor: int) -> bool:
    poll = _poll()
    poll.register(descriptor, patched_select.POLLIN)
    return bool(poll.poll(0))


def is_clean(driver: Driver, connection: PooledConnection) -> bool:
    """Return whether the next holder may have a connection as it is. Never waits."""
    raw = connection.raw
    if raw.tainted or (connection.cursors and connection.has_open_cursors()):
        return False
    return driver.is_clean(raw) and driver.attributes(raw) == connection.attributes


def make_clean(driver: Driver, connection: PooledConnection) -> bool:
    """Stop what runs on a connection, roll back, reset; return whether it worked."""
    if driver.is_closed(connection.raw):
        return False
    if driver.attributes(connection.raw) != connection.attributes:
        return False  # there is no general way back
    try:
        with gevent.Timeout(KILL_BUDGET, _BudgetSpent):
            if not driver.is_clean(connection.raw):
                driver.clean(connection.raw, KILL_BUDGET)
            _close_cursors(driver, connection)
            if connection.tainted:
                driver.reset(connection.raw)
                connection.was_reset()
    except Exception as error:  # noqa: BLE001 - the connection is closed instead
        logger.info("closing a connection that could not be cleaned: %r", error)
        return False
    return driver.is_clean(connection.raw)


def _close_cursors(driver: Driver, connection: PooledConnection) -> None:
    """Close what the holder has left open on the server."""
    while connection.cursors:
        cursor = connection.cursors.pop()
        if not cursor.closed:
            driver.close_cursor(cursor)
