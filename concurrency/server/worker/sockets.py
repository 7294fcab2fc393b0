"""``Server``: accepts connections, and those that are left when it ends."""

from __future__ import annotations

from typing import Any

from gevent.server import StreamServer

__all__ = ["Server"]


class Server(StreamServer):
    """Accepts connections on one listener."""

    full: Any
    do_read: Any
    do_handle: Any

    def take_backlog(self, most: int) -> None:
        """Accept who has connected already: closing the listener would turn them away.

        Args:
            most: how many the kernel keeps.
        """
        self.stop_accepting()
        for _ in range(most):
            client = None if self.full() else self.do_read()
            if not client:
                return
            self.do_handle(*client)
