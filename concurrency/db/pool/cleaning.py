"""Makes a used connection fit for the next holder, within a time limit."""

from __future__ import annotations

import logging

import gevent

from concurrency.db.drivers.driver import KILL_BUDGET
from concurrency.db.pool.connection import PooledConnection
from concurrency.hub.readable import is_readable

logger = logging.getLogger("concurrency.db")


class _BudgetSpent(Exception):
    """The server did not respond within the budget."""


def is_alive(connection: PooledConnection) -> bool:
    """Return whether an idle connection is still usable.

    A server that ends a session sends a message or closes the socket, so the socket
    becomes readable. Only then does the check need a round trip.
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
    except Exception as error:  # noqa: BLE001 - after any error the connection is unusable
        logger.info("discarding a connection that the server has ended: %s", error)
        return False
    return connection.is_at_rest()


def is_clean(connection: PooledConnection) -> bool:
    """Return whether the next holder can have the connection as it is. Never waits."""
    driver, raw = connection.driver, connection.raw
    if raw.tainted or (connection.cursors and connection.has_open_cursors()):
        return False
    return bool(driver.is_clean(raw) and driver.attributes(raw) == connection.attributes)


def make_clean(connection: PooledConnection) -> bool:
    """Cancel what runs on a connection, roll back, reset; return whether that worked."""
    driver, raw = connection.driver, connection.raw
    if driver.is_closed(raw) or not connection.is_as_it_was():  # cannot be undone in general
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
    """Close the server-side cursors that the holder has left open."""
    while connection.cursors:
        cursor = connection.cursors.pop()
        if not cursor.closed:
            connection.driver.close_cursor(cursor)
