"""A request from its start in the middleware to the end of its response.

What ``observe`` records of the request is in the context, also while the chunks of a stream
are made. The ids are headers of the response. The request ends when its response is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from concurrency.compat.django import call_at_end
from concurrency.context import activity
from concurrency.observe.ids import REQUEST_ID, TRACEPARENT
from concurrency.observe.metrics import ROUTE
from concurrency.observe.requests import Passing, enter, leave
from concurrency.text import printable

__all__ = ["follow"]


def follow(request: Any, respond: Callable[[Any], Any]) -> Any:
    """Return Django's response to a request, with its ids.

    Args:
        request: the request of Django.
        respond: makes the response.
    """
    what = printable(f"{request.method} {request.path}")
    # Not of `request.headers`: to read one of them is to parse them all.
    passing = Passing(what, request.method, request.META)
    request.concurrency_passing = passing
    token, doing = enter(passing), activity.set(what)
    is_sent_later = False
    try:
        response = respond(request)
        passing.status = response.status_code
        response[REQUEST_ID] = passing.request_id
        response[TRACEPARENT] = str(passing.trace)
        is_sent_later = _ends_when_sent(response, passing)
    finally:
        match = request.resolver_match
        passing.route = None if match is None else match.route
        request.META[ROUTE] = "-" if match is None else f"/{match.route}"
        if not is_sent_later:
            passing.end()
        activity.reset(doing)
        leave(token)
    return response


def _ends_when_sent(response: Any, passing: Passing) -> bool:
    """Return whether the request ends later, when the server has sent the response."""
    if not response.streaming:
        return False
    if getattr(response, "file_to_stream", None) is not None:
        # The server sends the file by itself, without reading what would be chunks.
        call_at_end(response, passing.end)
        return True
    if response.is_async:
        return False
    response.streaming_content = _Stream(response.streaming_content, passing)
    return True


class _Stream:
    """The chunks of a response, made as part of its request."""

    def __init__(self, chunks: Iterable[bytes], passing: Passing) -> None:
        self._chunks = iter(chunks)
        self._close = getattr(chunks, "close", None)
        self._passing: Passing | None = passing

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        token = enter(self._passing)
        try:
            return next(self._chunks)
        finally:
            leave(token)

    def close(self) -> None:
        passing, self._passing = self._passing, None
        token = enter(passing)
        try:
            if self._close is not None:
                self._close()
        finally:
            if passing is not None:
                passing.end()
            leave(token)
