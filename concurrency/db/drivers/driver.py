"""What a pool has to know about a database driver, and the end of a connection."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import Any, Protocol

import gevent

#: Seconds that the server gets to stop a statement and to confirm an end.
KILL_BUDGET = 2.0

#: A frozen server that comes back within this many seconds is still told what to stop.
PATIENCE = 30.0


class Driver(Protocol):
    """The few operations on a raw connection in which drivers differ.

    A raw connection has an attribute ``tainted``: whether a statement may have changed its
    session beyond its transaction. ``drivers.watching`` has what sets it.

    Those marked 'local' must not wait; the others may, and the pool limits their
    time.
    """

    @property
    def error(self) -> type[Exception]:
        """Return the base class of what the driver raises."""

    def fileno(self, raw: Any) -> int | None:
        """Return the descriptor of the connection's socket, None without one (local)."""

    def is_closed(self, raw: Any) -> bool:
        """Return whether the connection is known to be closed (local)."""

    def is_clean(self, raw: Any) -> bool:
        """Return whether it is open, idle and outside any transaction (local)."""

    def attributes(self, raw: Any) -> Any:
        """Return what users can set on the driver's object and the server does not know (local)."""

    def clean(self, raw: Any, seconds: float) -> None:
        """Stop the running statement on the server, roll back, and turn autocommit on."""

    def close_cursor(self, cursor: Any) -> None:
        """Close a cursor on the server; one that is gone there is no error."""

    def reset(self, raw: Any) -> None:
        """Bring the session back to how it was when the connection was opened."""

    def ping(self, raw: Any) -> None:
        """Make a round trip; raises when the connection is of no use.

        Local, and done before each lease, where there is no socket to look at.
        """

    def close(self, raw: Any) -> None:
        """Close the connection without waiting for the server (local).

        Where there is no socket to see the end by, waits for it.
        """


def close(driver: Driver, raw: Any) -> None:
    """Close a connection and wait until the server has ended its side of it.

    A server's session outlives the socket by a moment, or by the whole length of
    a statement. Its slot must not be used again before, so the end is read from a
    copy of the socket: the server closes its side as the last thing it does.
    """
    if driver.is_closed(raw):
        return
    descriptor = driver.fileno(raw)
    if descriptor is None:
        gevent.with_timeout(KILL_BUDGET, driver.close, raw, timeout_value=None)
        return
    with contextlib.closing(socket.socket(fileno=os.dup(descriptor))) as copy:
        driver.close(raw)
        copy.settimeout(KILL_BUDGET)
        # An error ends the session as surely as its orderly end does.
        with contextlib.suppress(OSError):
            while copy.recv(4096):
                pass
