"""Waits for a socket directly on the hub, with one watcher for the socket's whole life.

gevent's general functions create a watcher for each wait, and its ``select`` wakes up
periodically. A connection waits thousands of times on the same socket.
"""

from __future__ import annotations

from typing import Any

from gevent.hub import Waiter, get_hub

from concurrency.patching import signals

READ, WRITE = 1, 2


class SocketWaiter:
    """Waits until a socket is readable or writable.

    Args:
        fileno: the socket's descriptor; call ``close()`` before closing it, because the
            system can reuse its number.
    """

    __slots__ = ("_watchers", "fileno")

    def __init__(self, fileno: int) -> None:
        self.fileno = fileno
        # By hub: a connection can be used in the main thread and in an offload thread.
        self._watchers: dict[tuple[Any, int], Any] = {}

    def wait(self, events: int) -> int:
        """Wait for ``READ``, ``WRITE`` or both; return which of them is possible.

        Raises:
            BaseException: the exception thrown into the waiting greenlet.
        """
        hub = get_hub()
        watcher = self._watchers.get((hub, events))
        if watcher is None:
            watcher = self._watchers[hub, events] = hub.loop.io(self.fileno, events)
        waiter: Any = Waiter(hub)
        watcher.start(waiter.switch, pass_events=True)
        try:
            ready: int = signals.get(waiter)
        finally:
            watcher.stop()
        return ready & events

    def close(self) -> None:
        """Close the watchers of the socket."""
        here = get_hub()
        while self._watchers:
            (hub, _), watcher = self._watchers.popitem()
            if hub is here:
                watcher.close()
            else:
                hub.loop.run_callback_threadsafe(watcher.close)
