"""The interface between a pool and a database driver, and the end of a connection."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import Any, Protocol

import gevent

#: Seconds for the server to stop a statement, and to confirm the end of a session.
KILL_BUDGET = 2.0

#: Seconds for which a cancel request waits for a frozen server to come back.
PATIENCE = 30.0


class Driver(Protocol):
    """The few operations on a raw connection in which drivers differ.

    A raw connection has an attribute ``tainted``: whether a statement may have changed its
    session beyond its transaction. ``drivers.watching`` sets it.

    Methods marked 'local' must not wait; the others may, and the pool limits their time.
    """

    @property
    def error(self) -> type[Exception]:
        """Return the base class of the driver's exceptions."""

    def fileno(self, raw: Any) -> int | None:
        """Return the descriptor of the connection's socket, None without one (local)."""

    def is_closed(self, raw: Any) -> bool:
        """Return whether the connection is known to be closed (local)."""

    def is_clean(self, raw: Any) -> bool:
        """Return whether it is open, idle and outside any transaction (local)."""

    def attributes(self, raw: Any) -> Any:
        """Return the client-side attributes that users can set on the connection (local)."""

    def clean(self, raw: Any, seconds: float) -> None:
        """Cancel the running statement on the server, roll back, and turn autocommit on."""

    def close_cursor(self, cursor: Any) -> None:
        """Close a server-side cursor; no error if the server has already closed it."""

    def reset(self, raw: Any) -> None:
        """Restore the session to its state when the connection was opened."""

    def ping(self, raw: Any) -> None:
        """Make a round trip; raise if the connection is unusable.

        If the connection has no socket, this is local and runs before each lease.
        """

    def close(self, raw: Any) -> None:
        """Close the connection without waiting for the server (local).

        If the connection has no socket to show the end, wait for it.
        """


def close(driver: Driver, raw: Any) -> None:
    """Close a connection and wait until the server has ended its side of it.

    A server's session outlives the socket briefly, or for as long as a statement runs. The
    slot must not be reused before the session ends. A duplicate of the socket shows the
    end: the server closes its side as the last step.
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
        # After a socket error the session has ended too.
        with contextlib.suppress(OSError):
            while copy.recv(4096):
                pass
