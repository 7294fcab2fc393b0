"""Detects ports in use before gunicorn opens them, and reports them in one line."""

from __future__ import annotations

import errno
import os
import socket
import time
from typing import Any

from concurrency.server.record import holder

__all__ = ["complaint", "refuse"]

# A replaced program may need a moment to exit: gunicorn itself tries this long. The time is
# shorter if a known service has the port.
_PATIENCE, _OF_SERVICE, _PAUSE = 5.0, 2.0, 0.1  # seconds


def refuse(server: Any) -> str | None:
    """Return why gunicorn could not open one of the application's addresses, or None.

    Waits for a moment, as the holder of the port may be about to end.

    Args:
        server: gunicorn's arbiter, which has opened nothing yet.
    """
    inherits = "GUNICORN_FD" in os.environ or "LISTEN_PID" in os.environ
    if inherits or server.cfg.reuse_port:
        return None
    for address in server.cfg.address:
        if isinstance(address, tuple):
            error = _until_free(address)
            if error is not None:
                return complaint("port", address, error, "--port, PORT or bind in gunicorn.conf.py")
    return None


def complaint(noun: str, address: tuple[str, int], error: OSError, remedy: str) -> str:
    """Return a line about an address that cannot be taken.

    Args:
        noun: the kind of address.
        address: host and port.
        error: the error of the system.
        remedy: how to choose another address.
    """
    host, port = address[:2]
    if error.errno != errno.EADDRINUSE:
        return f"the {noun} {port} on {host} cannot be taken: {os.strerror(error.errno or 0)}"
    by = holder(port) or "another program"
    return f"the {noun} {port} on {host} is taken by {by}. Choose another by {remedy}."


def _until_free(address: tuple[str, int]) -> OSError | None:
    begun = time.monotonic()
    while (error := _error(address)) is not None:
        patience = _OF_SERVICE if holder(address[1]) else _PATIENCE
        if error.errno != errno.EADDRINUSE or time.monotonic() - begun > patience:
            return error
        time.sleep(_PAUSE)
    return None


def _error(address: tuple[str, int]) -> OSError | None:
    """Return why an address cannot be bound."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(address)
        except OSError as error:
            return error
    return None
