"""Notices clients that disconnect while a request of theirs is handled.

A separate epoll watches their sockets without subscribing to an event. The kernel then
reports only errors and hang-ups: neither data nor a half-closed socket wakes it up. This
module does not depend on requests.
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

# A client that has vanished and one that is idle look alike until they are probed. Seconds
# until the first probe, seconds between two, and how many may stay without a reply.
_KEEPALIVE = (2, 2, 5)


class Watch:
    """Watches whether the client at the other end of a socket has disconnected.

    A client counts as gone when it has reset the connection, has closed both directions,
    or has not replied to the kernel's keep-alive probes for some seconds. Only on Linux:
    elsewhere a client never counts as gone.

    Args:
        sock: the client's socket; None, for servers that do not provide it, is never
            watched.
        enabled: whether to watch it.

    Attributes:
        has_gone: whether the client was seen to go.
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
        """Watch the socket from now on, or stop."""
        if wanted == self._enabled or self._fileno < 0:
            return
        self._enabled = wanted
        if wanted:
            _ask_from_time_to_time(self._sock)
        if self._then is not None:
            self._start() if wanted else self._stop()

    @property
    def enabled(self) -> bool:
        """Whether the socket is watched."""
        return self._enabled

    def calling(self, then: Callable[[], None]) -> Watch:
        """Return a context manager: if the client goes, ``then()`` is called in the hub."""
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
    """Have the kernel probe whether the other end is still there."""
    if sock.family == socket.AF_UNIX:
        return  # the kernel knows both ends
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
        # A socket that was closed meanwhile has left the epoll.
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
