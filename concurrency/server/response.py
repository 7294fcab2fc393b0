"""``Response``: gunicorn's, which sends the head together with the first bytes of the body.

Two packets less for each answer, and a client that does not read what it is sent is left
after a while. Knows how bytes go out, not when.
"""

from __future__ import annotations

import errno
from typing import Any

from gunicorn.http import wsgi

__all__ = ["Response"]

# Bytes that are copied to be sent with the head, and those that are sent at once: a client
# that takes fewer within the socket's timeout has stalled.
_SMALL = 32768
_PIECE = 65536


class Response(wsgi.Response):  # type: ignore[misc]
    """An answer on HTTP/1."""

    headers_sent: bool
    _head = b""

    def send_headers(self) -> None:
        """Prepare the head; it is sent with what follows it."""
        if self.headers_sent:
            return
        lines = self.default_headers()
        lines += [f"{name}: {value}\r\n" for name, value in self.headers]
        lines.append("\r\n")
        self._head = "".join(lines).encode("latin-1")
        self.headers_sent = True

    def _emit_body(self, data: bytes) -> None:
        if self.chunked:
            data = b"%X\r\n%b\r\n" % (len(data), data)
        self._send(data)

    def sendfile(self, respiter: Any) -> bool:
        """Have the kernel send a file, after the head."""
        if self.cfg.is_ssl or not self.can_sendfile():
            return False
        self.send_headers()
        self._send(b"")
        return bool(super().sendfile(respiter))

    def close(self) -> None:
        """Send what is left: the head of an answer without a body, the end of a stream."""
        self.send_headers()
        self._send(b"0\r\n\r\n" if self.chunked else b"")

    def _send(self, data: bytes) -> None:
        head, self._head = self._head, b""
        if head and len(data) > _SMALL:
            self._send_all(head)
        elif head:
            data = head + data
        if data:
            self._send_all(data)

    def _send_all(self, data: bytes) -> None:
        try:
            # gevent's sendall asks the kernel for the size of its buffer first, each time.
            sent = self.sock.send(data[:_PIECE])
            view = memoryview(data)[sent:]
            while view:
                view = view[self.sock.send(view[:_PIECE]) :]
        except TimeoutError:
            # What gunicorn takes for a client that has left, as this one as good as has.
            raise ConnectionResetError(errno.ECONNRESET, "the client reads nothing") from None
