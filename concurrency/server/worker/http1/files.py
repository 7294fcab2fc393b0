"""Files that the kernel sends, and which those are.

Bytes go from the file to the socket without a copy, so it has to be certain that they are
what the application would read.
"""

from __future__ import annotations

import errno
import io
import os
import stat
import time
from typing import Any

from concurrency.server.worker.http1.connection import Connection
from concurrency.server.worker.http1.response import Response

__all__ = ["send_file"]

_AT_ONCE = 1 << 20  # bytes


def send_file(file: Any, connection: Connection, response: Response) -> bool:
    """Have the kernel send a file from its position on; return False if it cannot.

    Args:
        file: what the application gave to ``wsgi.file_wrapper``.
        connection: where it goes.
        response: has its status, and no body yet.

    Raises:
        OSError: the client has left, reads nothing, or the file has become shorter.
    """
    if response.headers_sent or response.status is None:
        return False
    plain = _plain(file)
    if plain is None:
        return False
    try:
        descriptor, offset = plain.fileno(), plain.tell()
        status = os.fstat(descriptor)
    except (OSError, ValueError):
        return False
    if not stat.S_ISREG(status.st_mode):
        return False
    left = max(0, status.st_size - offset)
    size = left if response.response_length is None else min(left, response.response_length)
    if response.begin_file(size):
        _send(descriptor, offset, size, connection)
        response.sent += size
    response.finish()
    return True


def _send(descriptor: int, offset: int, size: int, connection: Connection) -> None:
    out, began, moved = connection.sock.fileno(), time.monotonic(), 0
    while moved < size:
        try:
            sent = os.sendfile(out, descriptor, offset + moved, min(size - moved, _AT_ONCE))
        except BlockingIOError:
            connection.wait_writable(began, moved)
            continue
        if not sent:
            raise OSError(errno.EIO, "the file has become shorter while it was sent")
        moved += sent


def _plain(file: Any) -> Any:
    """Return the file of Python that is read when this one is; None if there is none.

    A GzipFile has a descriptor too, and what is read from it are other bytes.
    """
    while not isinstance(file, io.BufferedReader | io.BufferedRandom | io.FileIO):
        inner = getattr(file, "file", None)
        if inner is None or getattr(file, "read", None) != getattr(inner, "read", None):
            return None
        file = inner
    return file if type(getattr(file, "raw", file)) is io.FileIO else None
