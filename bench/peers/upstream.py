"""A service that answers each request after a while, at little cost: `PORT SECONDS`."""

from __future__ import annotations

import asyncio
import sys

__all__ = ["main"]

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nslow"


class _Client(asyncio.Protocol):
    """A connection on which one request comes after the other, without bodies."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while b"\r\n\r\n" in self._received:
            self._received = self._received.partition(b"\r\n\r\n")[2]
            asyncio.get_running_loop().call_later(self._seconds, self._answer)

    def _answer(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(_ANSWER)  # type: ignore[attr-defined]


async def main(port: int, seconds: float) -> None:
    """Serve until this process ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Client(seconds), "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
