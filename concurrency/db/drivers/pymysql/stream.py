"""A socket for PyMySQL that leaves its waits to the connection.

Does not depend on MySQL: the connection, which waits for it, decides what to do when a
waiting greenlet is killed.
"""

from __future__ import annotations

import contextlib
import io
import ssl
import time
from collections.abc import Callable
from typing import Any

import gevent

from concurrency.db.drivers.waiter import READ, WRITE, SocketWaiter

# A large result needs fewer switches than with Python's 8 KiB.
_BUFFER = 65536

# Seconds for which a socket that always has more to read may occupy the hub.
_TURN = 0.01


class TimedOut(TimeoutError):
    """The time limit set by ``settimeout`` has passed; not a kill."""


class Stream:
    """A connected socket that never blocks: it calls ``wait`` until it can go on.

    Args:
        sock: a socket of gevent, plain or TLS; the stream takes ownership.
        wait: called with ``READ`` or ``WRITE``, returns when the stream should try again;
            called with 0 to let other greenlets run. An exception leaves the stream intact.
    """

    def __init__(self, sock: Any, wait: Callable[[int], None]) -> None:
        # gevent's own waits belong to one hub; a connection is used in threads too.
        sock.settimeout(0.0)
        self._sock = sock
        self._wait = wait
        self._waiter = SocketWaiter(sock.fileno())
        self._timeout: float | None = None
        self._turn_ends = 0.0  # on the monotonic clock; 0.0: the next read begins a turn

    def fileno(self) -> int:
        """Return the descriptor of the socket."""
        return self._waiter.fileno

    def settimeout(self, seconds: float | None) -> None:
        """Limit later waits to this many seconds; None means no limit."""
        self._timeout = seconds

    def until_ready(self, events: int) -> None:
        """Wait on the hub for ``READ`` or ``WRITE``; with 0 let other greenlets run.

        Raises:
            TimedOut: the wait exceeded the limit of ``settimeout``.
        """
        if not events:
            gevent.sleep(0)
            return
        if self._timeout is None:
            self._waiter.wait(events)
            return
        with gevent.Timeout(self._timeout, TimedOut("timed out")):
            self._waiter.wait(events)

    def is_ready_within(self, seconds: float, events: int) -> bool:
        """Wait as ``until_ready`` does, and return whether the socket was ready in time."""
        limit = gevent.Timeout.start_new(seconds)
        try:
            if events:
                self._waiter.wait(events)
            else:
                gevent.sleep(0)
        except gevent.Timeout as timeout:
            if timeout is not limit:
                raise
            return False
        finally:
            limit.close()
        return True

    def sendall(self, data: bytes) -> None:
        """Send all of the data."""
        self._turn_ends = 0.0
        left = memoryview(data)
        while left:
            try:
                sent = self._sock.send(left)
            except BlockingIOError:
                sent = 0
            left = left[sent:]
            if not sent:  # gevent's TLS sockets return 0 where others raise
                self._wait(WRITE)

    def send_if_possible(self, data: bytes) -> None:
        """Send what can be sent without waiting; ignore errors."""
        with contextlib.suppress(OSError):
            self._sock.send(data)

    def receive_into(self, buffer: Any) -> int:
        """Read available data into a buffer; return its length in bytes, 0 at the end."""
        now = time.monotonic()
        if not self._turn_ends:
            self._turn_ends = now + _TURN
        elif now > self._turn_ends:
            self._pause(0)
        while True:
            try:
                return int(self._sock.recv_into(buffer))
            except (BlockingIOError, ssl.SSLWantReadError):
                self._pause(READ)
            except ssl.SSLWantWriteError:
                self._pause(WRITE)

    def _pause(self, events: int) -> None:
        self._wait(events)
        self._turn_ends = time.monotonic() + _TURN

    def reader(self) -> io.BufferedReader:
        """Return a file object to read from; closing it leaves the stream open."""
        return io.BufferedReader(_Raw(self), _BUFFER)

    def close(self) -> None:
        """Close the socket immediately."""
        self._waiter.close()
        self._sock.close()


class _Raw(io.RawIOBase):
    """The reading half of a stream."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._stream.receive_into(buffer)
