"""Requests as they pass: an id in every answer and call, and one line in the log for each.

Owns what is known of the request that is worked on. It is inherited by child greenlets,
as are all context variables, and goes out with every call of ``concurrency.http``.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from contextvars import ContextVar
from typing import Any

from concurrency import hooks
from concurrency.compat.django import call_at_end
from concurrency.observe.ids import REQUEST_ID, TRACEPARENT, TRACESTATE, Trace, request_id
from concurrency.observe.metrics import ROUTE
from concurrency.text import printable

__all__ = ["Passing", "current", "observed", "register"]

logger = logging.getLogger("concurrency.request")


class Passing:
    """A request that is worked on.

    Attributes:
        request_id: from ``X-Request-ID``, or new.
        trace: from ``traceparent``, or new.
        method: GET and the like.
        route: the pattern of the URL that it matched; None before, and if it matched none.
        status: of the answer; 0 before, and if there was none.
        statements: SQL statements, also of child greenlets.
        seconds: from its begin to the end of its answer; 0.0 before.
    """

    __slots__ = (
        "_started",
        "method",
        "request_id",
        "route",
        "seconds",
        "statements",
        "status",
        "trace",
    )

    def __init__(self, method: str, environ: Mapping[str, Any]) -> None:
        self.request_id = request_id(environ.get("HTTP_X_REQUEST_ID"))
        self.trace = Trace.continuing(
            environ.get("HTTP_TRACEPARENT"), environ.get("HTTP_TRACESTATE")
        )
        self.method = printable(method)
        self.route: str | None = None
        self.status = 0
        self.statements = 0
        self.seconds = 0.0
        self._started = time.monotonic()

    def end(self) -> None:
        """Say in the log that it has ended."""
        self.seconds = time.monotonic() - self._started
        if not logger.isEnabledFor(logging.INFO):
            return
        milliseconds = round(self.seconds * 1000, 1)
        fields = {
            "method": self.method,
            "route": self.route,
            "status": self.status,
            "milliseconds": milliseconds,
            "statements": self.statements,
        }
        logger.info(
            "%s %s %s %s ms, %d SQL",
            self.method,
            "-" if self.route is None else f"/{self.route}",
            self.status or "-",
            milliseconds,
            self.statements,
            extra=fields,
        )


current: ContextVar[Passing | None] = ContextVar("concurrency.request", default=None)


def observed(request: Any, respond: Callable[[Any], Any]) -> Any:
    """Return Django's answer to a request, with its ids, and log it when it has been sent.

    Args:
        request: the request of Django.
        respond: makes the answer.
    """
    # Not of `request.headers`: to read one of them is to parse them all.
    passing = Passing(request.method, request.META)
    request.concurrency_passing = passing
    token = current.set(passing)
    is_stream = False
    try:
        response = respond(request)
        passing.status = response.status_code
        response[REQUEST_ID] = passing.request_id
        response[TRACEPARENT] = str(passing.trace)
        if getattr(response, "file_to_stream", None) is not None:
            # The server sends the file by itself, without reading what would be chunks.
            call_at_end(response, passing.end)
            is_stream = True
        elif response.streaming and not response.is_async:
            response.streaming_content = _Stream(response.streaming_content, passing)
            is_stream = True
    finally:
        match = request.resolver_match
        passing.route = None if match is None else match.route
        request.META[ROUTE] = "-" if match is None else f"/{match.route}"
        if not is_stream:
            passing.end()
        current.reset(token)
    return response


class _Stream:
    """The chunks of an answer, made as part of its request."""

    def __init__(self, chunks: Iterable[bytes], passing: Passing) -> None:
        self._chunks = iter(chunks)
        self._close = getattr(chunks, "close", None)
        self._passing: Passing | None = passing

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        token = current.set(self._passing)
        try:
            return next(self._chunks)
        finally:
            current.reset(token)

    def close(self) -> None:
        passing, self._passing = self._passing, None
        token = current.set(passing)
        try:
            if self._close is not None:
                self._close()
        finally:
            if passing is not None:
                passing.end()
            current.reset(token)


def _count_statement() -> None:
    passing = current.get()
    if passing is not None:
        passing.statements += 1


def _send_along(headers: MutableMapping[str, Any]) -> None:
    passing = current.get()
    if passing is None:
        return
    headers.setdefault(REQUEST_ID, passing.request_id)
    headers.setdefault(TRACEPARENT, str(passing.trace))
    if passing.trace.state:
        headers.setdefault(TRACESTATE, passing.trace.state)


def register() -> None:
    """Count statements, and name the request in calls to other services, from now on."""
    hooks.register(hooks.at_statement, _count_statement)
    hooks.register(hooks.outgoing, _send_along)
