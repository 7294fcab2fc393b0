"""``Handle``: the socket of a request, as the application gets it as ``gunicorn.socket``.

An application that sends or receives on it has left HTTP, as for a WebSocket. From then on
limits of requests and answers do not apply. Knows neither requests nor which limits there are.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import partial
from typing import Any

from concurrency.compat.python import open_files, set_open_files

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


# What gives bytes that have come already; the other ways to read know of none.
_RECEIVES = frozenset({"makefile", "read", "recv", "recv_into"})
_READS_PAST = frozenset(
    {"detach", "dup", "recvfrom", "recvfrom_into", "recvmsg", "recvmsg_into", "unwrap"}
)


class Handle:
    """Stands for a socket, and notices when it is used.

    Bytes that came behind the request are received first. Who waits for the descriptor
    instead, by ``select``, sees them with the next ones.

    Args:
        sock: the socket of the connection.
        rest: returns the bytes behind the request; None if there cannot be any.

    Attributes:
        is_taken: whether the application has taken the connection over.
    """

    __slots__ = ("__weakref__", "_rest", "_sock", "_take_rest", "_then", "is_taken")

    def __init__(self, sock: Any, rest: Callable[[], bytes] | None = None) -> None:
        self._sock = sock
        self._rest = b""
        self._take_rest = rest
        self._then: list[Callable[[], None]] = []
        self.is_taken = False

    def __repr__(self) -> str:
        return f"<Handle of {self._sock!r}{', taken over' if self.is_taken else ''}>"

    def __getattr__(self, name: str) -> Any:
        if name in _USES and not self.is_taken:
            self._take()
        if self._rest:
            if name in _RECEIVES:
                return partial(getattr(Handle, f"_{name}"), self)
            if name in _READS_PAST:
                raise OSError(f"receive what came with the request by recv() before {name}()")
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
        if self._take_rest is not None:
            self._rest = self._take_rest()
        for then in self._then:
            then()

    # Bytes that have come already

    def _recv(self, size: int = 65536, flags: int = 0) -> bytes:
        if not self._rest:
            return self._sock.recv(size, flags)  # type: ignore[no-any-return]
        data = self._rest[:size]
        if not flags & socket.MSG_PEEK:
            self._rest = self._rest[len(data) :]
        return data

    def _recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        if not self._rest:
            return self._sock.recv_into(buffer, nbytes, flags)  # type: ignore[no-any-return]
        view = memoryview(buffer).cast("B")
        data = self._recv(nbytes or len(view), flags)
        view[: len(data)] = data
        return len(data)

    def _read(self, size: int = 1024, buffer: Any = None) -> Any:
        return self._recv(size) if buffer is None else self._recv_into(buffer, size)

    def _makefile(self, *args: Any, **kwargs: Any) -> Any:
        return type(self._sock).makefile(self, *args, **kwargs)

    @property
    def _io_refs(self) -> int:
        """Files that are open on the socket, which is closed with the last one."""
        return open_files(self._sock)

    @_io_refs.setter
    def _io_refs(self, count: int) -> None:
        set_open_files(self._sock, count)
