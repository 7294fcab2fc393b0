"""A TCP proxy that can be slow, stop forwarding and reset, to test network failures."""

from __future__ import annotations

from types import TracebackType

import gevent
from gevent import socket
from gevent.event import Event
from gevent.pool import Group
from gevent.server import StreamServer


class TCPProxy:
    """Forward a free port of loopback to a server, with failures on request.

    Use it as a context manager; ``host`` and ``port`` are where it listens.

    Args:
        host: where the server is.
        port: its port.

    Attributes:
        connect_delay: seconds before a new connection is passed on.
        delay: seconds before each piece of data is passed on, in either direction.
        connections: how many are passed on now.
        most_connections: how many there have been at the same time.
        accepted: how many there have been in all.
        refused: how many of these were reset at once.
        received: bytes that servers have sent to clients.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = StreamServer(("127.0.0.1", 0), self._serve)
        self._open = Event()
        self._open.set()
        self._refuses = False
        self._pumps = Group()
        self._sockets: set[socket.socket] = set()
        self.connect_delay = 0.0
        self.delay = 0.0
        self.connections = 0
        self.most_connections = 0
        self.accepted = 0
        self.refused = 0
        self.received = 0

    @property
    def host(self) -> str:
        """The address of loopback."""
        return "127.0.0.1"

    @property
    def port(self) -> int:
        """The port on which the proxy listens."""
        return int(self._listener.server_port or 0)

    def __enter__(self) -> TCPProxy:
        self._listener.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.stop(timeout=0)
        self.cut()
        self._pumps.kill()

    def deafen(self) -> None:
        """Pass on nothing more, in either direction, and keep connections open."""
        self._open.clear()

    def hear(self) -> None:
        """Pass on again, beginning with what has piled up."""
        self._open.set()

    def cut(self) -> None:
        """Reset all connections; new ones are still accepted."""
        for end in list(self._sockets):
            _reset(end)

    def refuse(self) -> None:
        """Reset new connections at once; those that are open go on."""
        self._refuses = True

    def admit(self) -> None:
        """Pass new connections on again."""
        self._refuses = False

    def _serve(self, client: socket.socket, address: object) -> None:
        self.accepted += 1
        if self._refuses:
            self.refused += 1
            _reset(client)
            return
        # From now on, so that a client of a proxy that does not forward is closed at its end.
        self._sockets.add(client)
        if self.connect_delay:
            gevent.sleep(self.connect_delay)
        self._open.wait()
        try:
            server = socket.create_connection(self._target)
        except OSError:
            self._sockets.discard(client)
            client.close()
            return
        self.connections += 1
        self.most_connections = max(self.most_connections, self.connections)
        ends = (client, server)
        self._sockets.update(ends)
        try:
            pumps = [
                self._pumps.spawn(self._pump, client, server),
                self._pumps.spawn(self._pump, server, client, True),
            ]
            gevent.joinall(pumps)
        finally:
            self.connections -= 1
            self._sockets.difference_update(ends)
            for end in ends:
                end.close()

    def _pump(self, source: socket.socket, sink: socket.socket, back: bool = False) -> None:
        try:
            while data := source.recv(65536):
                if self.delay:
                    gevent.sleep(self.delay)
                self._open.wait()
                sink.sendall(data)
                if back:
                    self.received += len(data)
            # One direction has ended; the other may go on.
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            source.close()
            sink.close()


def _reset(end: socket.socket) -> None:
    """Close abortively: the peer sees a reset, as when a network path is lost."""
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    end.close()
