"""``Response``: gunicorn's, which sends the head together with the first bytes of the body.

Two packets less for each answer, and a client that does not read what it is sent is left
after a while. Knows how bytes go out, not when.
"""

from __future__ import annotations

import errno
import logging
import time
from typing import Any

from gunicorn.http import wsgi

from concurrency.server.unsent import Pace, Unsent

__all__ = ["Response"]

logger = logging.getLogger("concurrency.server")

# Bytes that are copied to be sent with the head, and those that are sent at once: a client
# that takes fewer within the socket's timeout has stalled.
_SMALL = 32768
_PIECE = 65536

# Seconds: a send that takes longer has waited for the client.
_AT_ONCE = 0.001


class Response(wsgi.Response):  # type: ignore[misc]
    """An answer on HTTP/1.

    Args:
        req: gunicorn's request.
        sock: the client's.
        cfg: gunicorn's configuration.
        unsent: where it tells of clients that do not take all at once.
    """

    headers_sent: bool
    _omits_body: bool
    _head = b""
    _pace: Pace | None = None

    def __init__(self, req: Any, sock: Any, cfg: Any, unsent: Unsent) -> None:
        super().__init__(req, sock, cfg)
        self._unsent = unsent

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

    def write_all(self, chunks: Any) -> None:
        """Send the body, then the end."""
        if isinstance(chunks, wsgi.FileWrapper):
            self.write_file(chunks)
        else:
            for chunk in chunks:
                self.write(chunk)
        self.close()

    def write_file(self, respiter: Any) -> None:
        """Send a file in pieces: gevent has none sent by the kernel, and reads smaller ones."""
        self.send_headers()
        if not self._omits_body:
            respiter.blksize = _PIECE
            for piece in respiter:
                self.write(piece)

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
        # gevent's sendall asks the kernel for the size of its buffer first, each time.
        sent = self._send_piece(data[:_PIECE])
        if sent < len(data):
            self._send_rest(memoryview(data)[sent:])

    def _send_rest(self, view: memoryview) -> None:
        entry = self._unsent.add(self.sock, len(view))
        try:
            while view:
                sent = self._send_piece(view[:_PIECE])
                self._unsent.sent(entry, sent)
                view = view[sent:]
        finally:
            self._unsent.remove(entry)

    def _send_piece(self, piece: bytes | memoryview) -> int:
        begun = time.monotonic()
        try:
            sent: int = self.sock.send(piece)
        except TimeoutError:
            # What gunicorn takes for a client that has left, as this one as good as has.
            raise ConnectionResetError(errno.ECONNRESET, "the client reads nothing") from None
        waited = time.monotonic() - begun
        if self._pace is None:
            if waited < _AT_ONCE:
                return sent
            self._pace = self._unsent.pace()
        if not self._pace.suffices(waited, sent):
            logger.info("a client is left: it takes its answer too slowly")
            raise ConnectionResetError(errno.ECONNRESET, "the client reads too slowly")
        return sent
