"""Ids of requests and traces: those that the caller sent, if they are valid, or new ones.

Pure functions of text. ``X-Request-ID`` has no standard format, ``traceparent`` is W3C's
Trace Context, level 1.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

__all__ = ["REQUEST_ID", "TRACEPARENT", "TRACESTATE", "Trace", "ids_of", "request_id"]

REQUEST_ID = "X-Request-ID"
TRACEPARENT = "traceparent"
TRACESTATE = "tracestate"

# An id goes to logs and headers, so it must not contain line breaks or quotes.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._~:/+=@-]{1,128}")
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_TRACESTATE = re.compile(r"[\x20-\x7e]{1,512}")


def request_id(given: str | None) -> str:
    """Return the id that a caller gave a request, or a new one if there is no valid id."""
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given
    return os.urandom(16).hex()


class Trace(NamedTuple):
    """The position of a request in a trace.

    Attributes:
        trace_id: 32 hexadecimal digits, the same in all services.
        span_id: 16 hexadecimal digits, this service's own.
        flags: two hexadecimal digits; 01: the caller records this trace.
        state: vendor data of tracing systems, passed on unchanged.
    """

    trace_id: str
    span_id: str
    flags: str
    state: str = ""

    @classmethod
    def continuing(cls, traceparent: str | None, tracestate: str | None = None) -> Trace:
        """Return this service's part of a caller's trace, or of a new one.

        Args:
            traceparent: the header that the caller sent.
            tracestate: likewise; it has no meaning without a valid ``traceparent``.
        """
        return _trace(traceparent, tracestate, os.urandom(24).hex())

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"


def ids_of(environ: Mapping[str, Any]) -> tuple[str, Trace]:
    """Return the request id and the trace of a request.

    Args:
        environ: of WSGI.
    """
    # Runs for every request, so it makes a single call for random bytes.
    own = os.urandom(40).hex()
    given = environ.get("HTTP_X_REQUEST_ID")
    if given is None or not _REQUEST_ID.fullmatch(given):
        given = own[48:]
    trace = _trace(environ.get("HTTP_TRACEPARENT"), environ.get("HTTP_TRACESTATE"), own)
    return given, trace


def _trace(traceparent: str | None, tracestate: str | None, own: str) -> Trace:
    """Return a part of a trace; new ids come from at least 48 random digits."""
    found = None if traceparent is None else _TRACEPARENT.fullmatch(traceparent)
    if found is None or not _is_valid(*found.groups()):
        return Trace(own[16:48], own[:16], "00")
    state = tracestate if tracestate and _TRACESTATE.fullmatch(tracestate) else ""
    return Trace(found[2], own[:16], found[4], state)


def _is_valid(version: str, trace: str, span: str, flags: str, more: str | None) -> bool:
    """Return whether the parts are valid; only later versions may have more."""
    if version == "ff" or not trace.strip("0") or not span.strip("0"):
        return False
    return version != "00" or more is None
