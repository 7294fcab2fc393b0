"""``BehindHead``: the body of a request that asks for another protocol and does not get it.

httptools takes such a request for one without a body. So another parser of llhttp is told of
the body alone, by a head of ours.
"""

from __future__ import annotations

from typing import Any

__all__ = ["BehindHead"]


class BehindHead:
    """What llhttp calls for a body whose head another parser has read.

    The parser gets a head of ours, of which nobody must hear, and then the body. Requests that
    follow are requests like any other.

    Args:
        parser: who is called.

    Attributes:
        is_mute: whether nothing is passed on.
    """

    def __init__(self, parser: Any) -> None:
        self.is_mute = True
        self._parser = parser
        self.on_body = parser.on_body
        self.on_message_complete = parser.on_message_complete

    def on_message_begin(self) -> None:
        """Begin a request."""
        if not self.is_mute:
            self._parser.on_message_begin()

    def on_url(self, data: bytes) -> None:
        """Take a part of the request target."""
        if not self.is_mute:
            self._parser.on_url(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header field."""
        if not self.is_mute:
            self._parser.on_header(name, value)

    def on_headers_complete(self) -> None:
        """Make the request of which the head is complete."""
        if not self.is_mute:
            self._parser.on_headers_complete()
