"""The end of one direction of a connection, or of both, from outside of who uses it."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import Any

from gevent.monkey import get_original

__all__ = ["is_gone", "shut_down"]

_Socket = get_original("socket", "socket")


def shut_down(sock: Any, how: int) -> None:
    """Shut a socket down; whoever waits for it sees what the kernel tells.

    gevent's own shutdown would interrupt a reader before it has read what has arrived.

    Args:
        sock: the socket, which may have been closed, here or at the other end.
        how: ``socket.SHUT_RD``, ``SHUT_WR`` or ``SHUT_RDWR``.
    """
    with contextlib.suppress(OSError), _Socket(fileno=os.dup(sock.fileno())) as native:
        native.shutdown(how)


def is_gone(error: OSError) -> bool:
    """Return whether an error says that the client has left."""
    return error.errno in (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN, errno.ESHUTDOWN)
