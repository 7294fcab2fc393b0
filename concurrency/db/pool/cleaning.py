"""Making a used connection fit for the next holder.

All of this is limited in time.
"""

from __future__ import annotations

import logging

import gevent

from concurrency.db.drivers.driver import KILL_BUDGET
from concurrency.db.pool.connection import PooledConnection
from concurrency.hub.readable import is_readable

logger = logging.getLogger("concurrency.db")


class _BudgetSpent(Exception):
    """The server has not answered within the budget."""


def is_alive(connection: PooledConnection) -> bool:
    """Return whether an idle connection is still of use.

    A server that has ended a session has said so, or closed the socket: there is
    something to read. Only then a round trip is made.
    """
    driver, raw = connection.driver, connection.raw
    if driver.is_closed(raw):
        return False
    descriptor = driver.fileno(raw)
    if descriptor is not None and not is_readable(descriptor):
        return True
    try:
        with gevent.Timeout(KILL_BUDGET, _BudgetSpent):
            driver.ping(raw)
    except Exception as error:  # noqa: BLE001 - whatever it is, the connection is of no use
        logger.info("discarding a connection that the server has ended: %s", error)
        return False
    return connection.is_at_rest()


def is_clean(connection: PooledConnection) -> bool:
    """Return whether the next holder may have a connection as it is. Never waits."""
    driver, raw = connection.driver, connection.raw
    if raw.tainted or (connection.cursors and connection.has_open_cursors()):
        return False
    return bool(driver.is_clean(raw) and driver.attributes(raw) == connection.attributes)


def make_clean(connection: PooledConnection) -> bool:
    """Stop what runs on a connection, roll back, reset; return whether it worked."""
    driver, raw = connection.driver, connection.raw
    if driver.is_closed(raw) or not connection.is_as_it_was():  # there is no general way back
        return False
    try:
        with gevent.Timeout(KILL_BUDGET, _BudgetSpent):
            if not connection.is_at_rest():
                driver.clean(raw, KILL_BUDGET)
            _close_cursors(connection)
            if connection.tainted:
                driver.reset(raw)
                connection.was_reset()
    except Exception as error:  # noqa: BLE001 - the connection is closed instead
        logger.info("closing a connection that could not be cleaned: %r", error)
        return False
    return connection.is_at_rest()


def _close_cursors(connection: PooledConnection) -> None:
    """Close what the holder has left open on the server."""
    while connection.cursors:
        cursor = connection.cursors.pop()
        if not cursor.closed:
            connection.driver.close_cursor(cursor)
