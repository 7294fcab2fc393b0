"""``Parser``: the bytes of one connection in, its requests out.

Owns what llhttp leaves open: sizes, how often a field may stand, which transfer coding,
what a proxy may say. An error is kept until the requests before it were taken.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from concurrency.server.worker.http1 import head
from concurrency.server.worker.http1.behind_head import BehindHead
from concurrency.server.worker.http1.body import Store
from concurrency.server.worker.http1.refusals import Refusal
from concurrency.server.worker.http1.request import Request
from concurrency.server.worker.http1.rules import Rules

__all__ = ["Parser"]

_MALFORMED = "The request is malformed."

# Names of fields and the keys that they have in a WSGI environment. Clients write them in
# few ways, so the table is soon complete; it is bounded, because anyone can add to it.
_KEYS: dict[bytes, str] = {}
_MOST_KEYS = 2048

# Fields that cannot be combined into a list (RFC 9110, 5.3): a second one is ambiguous.
_SINGLE = frozenset(("HTTP_HOST", "CONTENT_TYPE", "CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING"))

# What a body in chunks may cost beside its bytes: lines of sizes, extensions, trailers.
_CHUNK_FACTOR = 8
_CHUNK_SPARE = 65536


class Parser:
    """The state of one connection.

    Args:
        rules: what the server accepts.
        template: the WSGI environment as far as the server decides it; shared, not changed.
        own: what the connection adds to it.
        peer: address of the other end.
        store: where bodies are kept.

    Attributes:
        own: as it was given; what is added holds for the requests to come.
        requests: those whose head has arrived, in order; the last may still lack a part of
            its body.
        refusal: why no more is read, once there is such a reason.
        rest: what came after a request that asks to leave HTTP.
    """

    def __init__(
        self,
        rules: Rules,
        template: dict[str, Any],
        own: dict[str, Any],
        peer: Any,
        store: Store,
    ) -> None:
        self.requests: deque[Request] = deque()
        self.refusal: Refusal | None = None
        self.rest = b""
        self._rules = rules
        self.own = own
        self._template = template
        self._peer = peer
        self._trusted: bool | None = None
        self._store = store
        self._current: Request | None = None
        self._fed = 0
        self._barren = 0
        self._begun = 0
        self._tail: bytes | None = None
        self._llhttp = HttpRequestParser(self)
        self._begin()

    def _begin(self) -> None:
        self._target = b""
        self._fields: list[tuple[bytes, bytes]] = []
        self._environ: dict[str, Any] = {}
        self._in_head = False

    @property
    def is_between(self) -> bool:
        """Whether nothing of a next request has arrived."""
        return not self._in_head and self._current is None and not self.requests

    def body_length(self) -> int:
        """Return how many bytes have come of the body that is awaited."""
        return 0 if self._current is None else self._current.body.length

    def feed(self, data: bytes) -> None:
        """Take bytes of the connection.

        Args:
            data: as they came; not empty.
        """
        if self.refusal is not None or self.rest:
            self.rest += data
            return
        # Of a request that began behind others in these bytes nobody knows where.
        known = self._begun + (not self._in_head and self._current is None)
        try:
            self._llhttp.feed_data(data)
        except HttpParserUpgrade as upgrade:
            # httptools gives the offset of what it has not read.
            self._left_http(data[upgrade.args[0] :])
        except HttpParserError as error:
            cause = error.__context__
            self._fail(cause if isinstance(cause, Refusal) else Refusal(400, _MALFORMED))
        else:
            if self._begun <= known and (self._in_head or self._current is not None):
                self._look_at_size(len(data))

    def _look_at_size(self, size: int) -> None:
        """End what goes on for too long: llhttp has no limits."""
        self._fed += size
        if self._in_head:
            # A target that is too long has been refused, so what does not end is a field.
            if self._fed > (self._rules.head if self._fields else self._rules.first):
                self._fail(head.FIELDS_TOO_LARGE())
        elif self._current is not None and self._current.chunked:
            self._barren += size
            most = _CHUNK_FACTOR * self._current.body.length + _CHUNK_SPARE
            if self._fed > most or self._barren > 2 * _CHUNK_SPARE:
                self._fail(Refusal(400, "The chunks of the body are nearly empty."))

    def _fail(self, refusal: Refusal) -> None:
        """Read no more; a request whose body was cut off here is refused as well."""
        self.refusal = refusal
        if self._current is not None and self._current.refusal is None:
            self._current.refusal = refusal
        self._current = None

    def _left_http(self, rest: bytes) -> None:
        """Go on after a request that asks for another protocol, should it not get it."""
        if self._tail is None:
            self.rest = rest
            self._llhttp = HttpRequestParser(self)
            return
        # httptools ends a request that asks for another protocol before its body.
        head_of_body, self._tail = self._tail, None
        behind = BehindHead(self)
        self._llhttp = HttpRequestParser(behind)
        self._llhttp.feed_data(head_of_body)
        behind.is_mute = False
        if rest:
            self.feed(rest)

    def stay(self) -> None:
        """Go on with HTTP: the application has not taken the connection over."""
        rest, self.rest = self.rest, b""
        if rest and self.refusal is None:
            self.feed(rest)

    def end(self, reason: Refusal | None = None) -> None:
        """Take note that nothing more comes.

        Args:
            reason: why, if it is another one than that the client has ended.
        """
        if self._current is not None:
            self._fail(reason or Refusal(400, "The body of the request ended too early."))
        elif self.refusal is None and self._in_head:
            self._fail(reason or Refusal(400, "The head of the request ended too early."))

    def close(self) -> None:
        """Let go of the bodies of requests that nobody takes."""
        for request in self.requests:
            request.body.close()

    # What llhttp calls

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._in_head = True
        self._fed = 0
        self._begun += 1
        self._environ = self._template.copy()
        self._environ.update(self.own)

    def on_url(self, data: bytes) -> None:
        """Take a part of the request target."""
        self._target += data
        if len(self._target) > self._rules.line:
            raise head.LINE_TOO_LONG()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header field; one of a trailer is counted, and no header."""
        fields = self._fields
        rules = self._rules
        if len(fields) >= rules.fields or len(name) + len(value) + 4 > rules.field_size:
            raise head.FIELDS_TOO_LARGE()
        fields.append((name, value))
        if not self._in_head:
            return
        key = _KEYS.get(name) or self._key(name)
        if key is None:
            return
        environ = self._environ
        if key not in environ:
            environ[key] = value.decode("latin-1")
        else:
            if key in _SINGLE:
                raise Refusal(400, "A header field that may stand once is repeated.")
            joint = "; " if key == "HTTP_COOKIE" else ","
            environ[key] += joint + value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Make the request of which the head is complete."""
        llhttp = self._llhttp
        environ = self._environ
        request = Request(environ, self._fields)
        request.peer_addr = self._peer
        request.method = llhttp.get_method().decode()
        request.keeps_alive = llhttp.should_keep_alive()
        request.is_upgrade = llhttp.should_upgrade()
        self._in_head = False
        self._fed = self._barren = 0
        self._current = request
        self.requests.append(request)
        try:
            head.complete(
                request, self._target, llhttp.get_http_version(), self._rules, self._is_trusted
            )
            if request.is_upgrade:
                self._tail = head.of_body(request)
        except Refusal as refusal:
            request.refusal = refusal
            raise
        finally:
            self._begin()

    def on_body(self, data: bytes) -> None:
        """Keep a part of the body."""
        request = self._current
        if request is None or request.refusal is not None:
            return
        most = self._rules.body
        if most is not None and request.body.length + len(data) > most:
            raise head.BODY_TOO_LARGE()
        self._barren = 0
        request.body.add(data, self._store)

    def on_message_complete(self) -> None:
        """Take note that a request is complete."""
        if self._tail is not None:
            return
        request, self._current = self._current, None
        self._fields = []
        if request is not None:
            request.is_complete = True

    # Names

    def _key(self, name: bytes) -> str | None:
        """Return the key of a field's name in the environment; None drops the field."""
        text = name.decode("latin-1").upper()
        if "_" in text:
            return self._key_with_underscore(text)
        key = text.replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = f"HTTP_{key}"
        if len(_KEYS) < _MOST_KEYS:
            _KEYS[name] = key
        return key

    def _key_with_underscore(self, text: str) -> str | None:
        # X_Forwarded_For and X-Forwarded-For have the same key, so one could pass for the other.
        allowed = self._rules.forwarder_headers
        if self._is_trusted() and (text in allowed or "*" in allowed):
            return f"HTTP_{text.replace('-', '_')}"
        if self._rules.header_map == "dangerous":
            return f"HTTP_{text.replace('-', '_')}"
        if self._rules.header_map == "drop":
            return None
        raise Refusal(400, "The name of a header field contains an underscore.")

    def _is_trusted(self) -> bool:
        if self._trusted is None:
            self._trusted = self._rules.trusts(self._peer)
        return self._trusted
