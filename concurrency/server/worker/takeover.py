"""``Handle``: the socket of a request, as the application gets it as ``gunicorn.socket``.

An application that sends or receives on it has left HTTP, as for a WebSocket. From then on
limits of requests and answers do not apply. Knows neither requests nor which limits there are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["Handle"]

# What uses the connection; the rest only asks about it, as for the certificate of a client.
_USES = frozenset(
    {
        "close",
        "detach",
        "dup",
        "makefile",
        "read",
        "recv",
        "recv_into",
        "recvfrom",
        "recvfrom_into",
        "recvmsg",
        "recvmsg_into",
        "send",
        "sendall",
        "sendfile",
        "sendmsg",
        "sendto",
        "setblocking",
        "settimeout",
        "shutdown",
        "unwrap",
        "write",
    }
)


class Handle:
    """Stands for a socket, and notices when it is used.

    Args:
        sock: the socket of the connection.

    Attributes:
        is_taken: whether the application has taken the connection over.
    """

    __slots__ = ("__weakref__", "_sock", "_then", "is_taken")

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._then: list[Callable[[], None]] = []
        self.is_taken = False

    def __repr__(self) -> str:
        return f"<Handle of {self._sock!r}{', taken over' if self.is_taken else ''}>"

    def __getattr__(self, name: str) -> Any:
        if name in _USES and not self.is_taken:
            self._take()
        return getattr(self._sock, name)

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def on_take(self, then: Callable[[], None]) -> None:
        """Have something called when the application takes the connection over."""
        self._then.append(then)

    def _take(self) -> None:
        self.is_taken = True
        self._sock.settimeout(None)
        for then in self._then:
            then()
