"""``Response``: what the application answers, on its way to the client.

Head and first bytes leave in one send. Knows how an answer is framed (RFC 9112, 6), not
when it is sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from gunicorn.http.errors import InvalidResponseHeader, InvalidResponseHeaderName

from concurrency.server.worker.http1.clock import clock
from concurrency.server.worker.http1.request import Request

__all__ = ["Response"]

_STATUS = re.compile(r"[0-9]{3}(?: [ \t\x21-\x7e\x80-\xff]*)?")
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_NOT_IN_VALUE = re.compile(r"[^\t\x20-\x7e\x80-\xff]")

# Fields about the connection, which are the server's to send (RFC 9110, 7.6.1), and those
# that it looks at. All other names are plain.
_LENGTH, _CONNECTION, _UPGRADE, _HOP = 1, 2, 3, 4
_KINDS = {
    "content-length": _LENGTH,
    "connection": _CONNECTION,
    "upgrade": _UPGRADE,
    "keep-alive": _HOP,
    "proxy-authenticate": _HOP,
    "proxy-authorization": _HOP,
    "te": _HOP,
    "trailers": _HOP,
    "transfer-encoding": _HOP,
    "server": _HOP,
    "date": _HOP,
}
_kinds: dict[str, int] = {}
_MOST_NAMES = 1024

# Bytes that are copied to be sent with the head.
_SMALL = 65536


def _kind(name: str) -> int:
    if not isinstance(name, str):
        raise TypeError(f"the name of a header field has to be a string, not {name!r}")
    if not _NAME.fullmatch(name):
        raise InvalidResponseHeaderName(repr(name))
    kind = _KINDS.get(name.lower(), 0)
    if len(_kinds) < _MOST_NAMES:
        _kinds[name] = kind
    return kind


class Response:
    """One response.

    Args:
        request: what it answers.
        send: sends bytes to the client.

    Attributes:
        status: as the application gave it; None before.
        status_code: its number.
        headers: as the application gave them, without those about the connection.
        headers_sent: whether the client may have seen the head.
        response_length: what Content-Length says; None without one.
        chunked: whether the body is sent in chunks.
        sent: bytes of the body that were sent.
        upgrade: whether the application leaves HTTP.
        must_close: whether the connection ends after this response.
    """

    __slots__ = (
        "_omits_body",
        "_send",
        "chunked",
        "headers",
        "headers_sent",
        "must_close",
        "request",
        "response_length",
        "sent",
        "status",
        "status_code",
        "upgrade",
    )

    def __init__(self, request: Request, send: Callable[[bytes], None]) -> None:
        self.request = request
        self._send = send
        self.status: str | None = None
        self.status_code = 0
        self.headers: list[tuple[str, str]] = []
        self.headers_sent = False
        self.response_length: int | None = None
        self.chunked = False
        self.sent = 0
        self.upgrade = False
        self.must_close = False
        self._omits_body = False

    def force_close(self) -> None:
        """End the connection after this response."""
        self.must_close = True

    def should_close(self) -> bool:
        """Return whether the connection ends after this response."""
        if self.must_close or self.request.must_close or not self.request.keeps_alive:
            return True
        # Without a length and without chunks only the end tells where the body ends.
        return self.response_length is None and not self.chunked and not self._omits_body

    @property
    def is_short(self) -> bool:
        """Whether fewer bytes were sent than Content-Length says."""
        return (
            self.response_length is not None
            and self.sent < self.response_length
            and not self._omits_body
        )

    # What the application calls

    def start_response(
        self, status: str, headers: Iterable[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], None]:
        """Take status and headers, as PEP 3333 has it."""
        if exc_info:
            try:
                if self.headers_sent:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
            self.headers, self.response_length, self.upgrade = [], None, False
            self.chunked = self._omits_body = False
        elif self.status is not None:
            raise AssertionError("start_response was called before")
        if not isinstance(status, str):
            raise TypeError(f"the status has to be a string, not {status!r}")
        if not _STATUS.fullmatch(status):
            raise ValueError(f"invalid status {status!r}")
        self.status = status
        self.status_code = code = int(status[:3])
        for name, value in headers:
            kind = _kinds.get(name)
            if kind is None:
                kind = _kind(name)
            if not isinstance(value, str):
                raise TypeError(f"the value of {name} has to be a string, not {value!r}")
            if _NOT_IN_VALUE.search(value):
                raise InvalidResponseHeader(repr(name))  # its value may be a secret
            if kind == 0 or (kind and self._is_kept(kind, value)):
                self.headers.append((name, value))
        self._frame(code)
        return self.write

    def _is_kept(self, kind: int, value: str) -> bool:
        """Look at a field about the message; return whether it is sent as it is."""
        if kind == _LENGTH:
            if not (value.isascii() and value.isdecimal()):
                raise ValueError(f"Content-Length has to be a number, not {value!r}")
            length, before = int(value), self.response_length
            if before not in (None, length):
                raise ValueError(f"Content-Length is both {before} and {length}")
            self.response_length = length
            return before is None
        if kind == _CONNECTION:
            option = value.strip().lower()
            self.upgrade = self.upgrade or option == "upgrade"
            self.must_close = self.must_close or option == "close"
        return kind == _UPGRADE and value.strip().lower() == "websocket"

    def _frame(self, code: int) -> None:
        """Decide how the client sees where the body ends."""
        if code < 200:
            self.must_close = True  # it is no final answer, and there will be no other
        if code < 200 or code == 204:
            if self.response_length is not None:
                self.headers = [pair for pair in self.headers if _kinds.get(pair[0]) != _LENGTH]
                self.response_length = None
            self._omits_body = True
        elif code == 304 or self.request.method == "HEAD":
            self._omits_body = True
        elif self.response_length is None:
            self.chunked = self.request.version == (1, 1)

    def write(self, data: bytes) -> None:
        """Send a part of the body."""
        if not isinstance(data, bytes):
            raise TypeError(f"a body consists of bytes, not of {data!r}")
        if self._omits_body:
            data = b""
        if self.response_length is not None:
            data = data[: self.response_length - self.sent]
        if not data and self.headers_sent:
            return
        self.sent += len(data)
        if self.chunked and data:
            data = b"%X\r\n%b\r\n" % (len(data), data)
        if self.headers_sent:
            self._send(data)
        else:
            self._with_head(data)

    def whole(self, data: bytes, *, sized: bool) -> None:
        """Send the whole body, which is all there is, and the end.

        Args:
            data: the body.
            sized: whether its length may be said, which the application has not done.
        """
        if not isinstance(data, bytes):
            raise TypeError(f"a body consists of bytes, not of {data!r}")
        if sized or not self.chunked:
            self._know_length(len(data))
            self.write(data)
            self.finish()
        else:
            self.sent += len(data)
            first = b"%X\r\n%b\r\n" % (len(data), data) if data else b""
            self._with_head(first + b"0\r\n\r\n")

    def _know_length(self, size: int) -> None:
        """Frame a body by its length, which the application has not said."""
        if self.response_length is None and not self._omits_body and not self.headers_sent:
            self.chunked = False
            self.response_length = size
            self.headers.append(("Content-Length", str(size)))

    def begin_file(self, size: int) -> bool:
        """Send the head before a file of this many bytes; return whether it has to follow.

        Args:
            size: what the body will have.
        """
        self._know_length(size)
        self._with_head(b"")
        return not self._omits_body

    def finish(self) -> None:
        """Send what is left: a head without a body, or the end of the chunks."""
        if self.status is None:
            raise RuntimeError("the application has not called start_response")
        if not self.headers_sent:
            self._with_head(b"0\r\n\r\n" if self.chunked else b"")
        elif self.chunked:
            self._send(b"0\r\n\r\n")
        # The client waits for what will not come.
        self.must_close = self.must_close or self.is_short

    def _with_head(self, data: bytes) -> None:
        connection = "close" if self.should_close() else "keep-alive"
        if self.upgrade:
            connection = "upgrade"
        version = "1.1" if self.request.version == (1, 1) else "1.0"
        coding = "Transfer-Encoding: chunked\r\n" if self.chunked else ""
        fields = "".join([f"{name}: {value}\r\n" for name, value in self.headers])
        head = (
            f"HTTP/{version} {self.status}\r\n{clock.lines()}"
            f"Connection: {connection}\r\n{coding}{fields}\r\n"
        ).encode("latin-1")
        self.headers_sent = True
        if len(data) > _SMALL:
            self._send(head)
            self._send(data)
        else:
            self._send(head + data)

    # Beside the response

    def early_hints(self, headers: Iterable[tuple[str, str]]) -> None:
        """Send "103 Early Hints" (RFC 8297) before the response: ``wsgi.early_hints``."""
        if self.headers_sent or self.request.version != (1, 1):
            return
        lines = []
        for name, value in headers:
            if _NOT_IN_VALUE.search(value):
                raise InvalidResponseHeader(repr(name))
            _kind(name)
            lines.append(f"{name}: {value}\r\n")
        self._send(f"HTTP/1.1 103 Early Hints\r\n{''.join(lines)}\r\n".encode("latin-1"))
