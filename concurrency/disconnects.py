"""Clients that have gone: it is noticed while somebody works for them.

An epoll of our own watches their sockets and asks for no event. Then the kernel reports
errors and hang-ups alone, when they happen: neither what a client sends nor that it
sends no more (a half-closed socket) wakes anybody up. Knows nothing of requests.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Callable
from typing import Any
from weakref import WeakSet

from gevent.monkey import get_original

from concurrency.hub.callbacks import call_safely
from concurrency.hub.per_hub import forget, per_hub

__all__ = ["Watch"]

_READ = 1

# A client that has closed its socket, and one that is only silent, look alike until
# they are asked. Seconds until a question, seconds between two, and how many in vain.
_KEEPALIVE = (2, 2, 5)


class Watch:
    """Looks whether the client at the other end of a socket has gone.

    Gone is who has reset the connection, has closed both of its directions, or has
    answered no question of the kernel for some seconds. Only on Linux: elsewhere
    nobody is ever gone.

    Args:
        sock: the client's socket; None, as of servers that do not tell, is never
            looked at.
        enabled: whether to look at it.

    Attributes:
        has_gone: whether the client has gone, as far as it was looked at.
    """

    __slots__ = ("_enabled", "_fileno", "_sock", "_then", "has_gone")

    def __init__(self, sock: Any, *, enabled: bool) -> None:
        self._sock = sock
        self._fileno = -1 if sock is None or sys.platform != "linux" else sock.fileno()
        self._then: Callable[[], None] | None = None
        self._enabled = False
        self.has_gone = False
        self.enable(enabled)

    def enable(self, wanted: bool) -> None:
        """Look at the socket from now on, or no more."""
        if wanted == self._enabled or self._fileno < 0:
            return
        self._enabled = wanted
        if wanted:
            _ask_from_time_to_time(self._sock)
        if self._then is not None:
            self._start() if wanted else self._stop()

    @property
    def enabled(self) -> bool:
        """Whether the socket is looked at."""
        return self._enabled

    def calling(self, then: Callable[[], None]) -> Watch:
        """Return the watch, which calls ``then()`` in the hub when the client goes in its block."""
        self._then = then
        return self

    def __enter__(self) -> None:
        if self._enabled:
            self._start()

    def __exit__(self, *error: object) -> None:
        if self._enabled:
            self._stop()
        self._then = None

    def _start(self) -> None:
        _lookout().add(self._fileno, self._gone)

    def _stop(self) -> None:
        _lookout().remove(self._fileno, self._gone)

    def _gone(self) -> None:
        self.has_gone = True
        if self._then is not None:
            self._then()


def _ask_from_time_to_time(sock: Any) -> None:
    """Let the kernel ask the other end whether it is still there."""
    if sock.family == socket.AF_UNIX:
        return  # whose kernel is this one
    idle, interval, count = _KEEPALIVE
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, idle)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, interval)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, count)


class _Lookout:
    """The sockets that are watched on one hub, behind one watcher of its loop."""

    def __init__(self, hub: Any) -> None:
        self.is_closed = False
        self._epoll = get_original("select", "epoll")()
        # More than one for a connection that carries several requests, as of HTTP/2.
        self._watched: dict[int, list[Callable[[], None]]] = {}
        self._watcher = hub.loop.io(self._epoll.fileno(), _READ, ref=False)
        self._watcher.start(self._look)

    def add(self, fileno: int, gone: Callable[[], None]) -> None:
        if fileno not in self._watched:
            self._epoll.register(fileno, 0)
            self._watched[fileno] = []
        self._watched[fileno].append(gone)

    def remove(self, fileno: int, gone: Callable[[], None]) -> None:
        those = self._watched.get(fileno, [])
        if gone in those:
            those.remove(gone)
            if not those:
                self._forget(fileno)

    def _look(self) -> None:
        for fileno, _ in self._epoll.poll(0):
            for gone in self._forget(fileno):
                call_safely(gone)  # an error would end the watcher, and all watching with it

    def _forget(self, fileno: int) -> list[Callable[[], None]]:
        # Who has closed the socket meanwhile has taken it out.
        with contextlib.suppress(OSError):
            self._epoll.unregister(fileno)
        return self._watched.pop(fileno, [])

    def close(self) -> None:
        self.is_closed = True
        self._watcher.stop()
        self._watcher.close()
        self._epoll.close()


_lookouts: WeakSet[_Lookout] = WeakSet()

_KEY = "concurrency.disconnects"


def _lookout() -> _Lookout:
    found = per_hub(_KEY, _Lookout)
    if found.is_closed:
        forget(_KEY)
        found = per_hub(_KEY, _Lookout)
    _lookouts.add(found)
    return found


def _after_fork() -> None:
    # The epoll is shared with the parent: what is changed here would be changed there.
    for lookout in list(_lookouts):
        lookout.close()


os.register_at_fork(after_in_child=_after_fork)
