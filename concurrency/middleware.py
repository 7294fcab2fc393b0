"""``ConcurrencyMiddleware``: limits the time of requests, and lends while they stream.

It comes first in ``MIDDLEWARE``, so that it encloses everything that a request does. It
does not depend on databases: a query is interrupted because it waits inside its block,
and idle connections are lent by a hook.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.http.request import HttpHeaders

from concurrency import hooks
from concurrency.aio import is_installed, iterate
from concurrency.conf import conf
from concurrency.deadlines import deadline
from concurrency.disconnects import Watch
from concurrency.errors import DeadlineExceeded
from concurrency.http import TIMEOUT_HEADER
from concurrency.observe import requests
from concurrency.request import follow

__all__ = ["ConcurrencyMiddleware", "cancel_on_disconnect", "request_deadline"]

View = TypeVar("View", bound=Callable[..., Any])

_DEADLINE = "concurrency_deadline"
_CANCEL = "concurrency_cancel_on_disconnect"

# In META: to read one of `request.headers` is to parse them all.
_TIMEOUT = HttpHeaders.to_wsgi_name(TIMEOUT_HEADER)

# nginx's own status: the client cannot read it any more, but the access log shows it.
_CLIENT_CLOSED_REQUEST = 499


def request_deadline(seconds: float | None) -> Callable[[View], View]:
    """Give the requests of one view a limit of their own.

    Args:
        seconds: the limit in seconds, counted from the beginning of the request;
            None means no limit. A caller can still ask for less.
    """

    def decorate(view: View) -> View:
        setattr(view, _DEADLINE, seconds)
        return view

    return decorate


def cancel_on_disconnect(wanted: bool) -> Callable[[View], View]:
    """Choose for one view whether its work ends when its client disconnects.

    For all methods: a view that changes data is rolled back or left half done, as by a
    deadline, although its client may only have timed out.

    Args:
        wanted: True or False, instead of ``CONCURRENCY["CANCEL_ON_DISCONNECT"]``.
    """

    def decorate(view: View) -> View:
        setattr(view, _CANCEL, wanted)
        return view

    return decorate


class ConcurrencyMiddleware:
    """Limit the time of each request, and respond with 504 when it is over.

    The limit is ``CONCURRENCY["REQUEST_DEADLINE"]``, or that of the view's
    ``request_deadline``, shortened by the header ``X-Request-Timeout-Ms``. It ends
    with the response: a stream that is sent afterwards has none. Between the chunks of
    a stream its idle database connection is lent to others. With
    ``CONCURRENCY["CANCEL_ON_DISCONNECT"]``, or the view's ``cancel_on_disconnect``, a
    request or stream whose client has disconnected ends as if its time were up.

    Each response has ``X-Request-ID`` and ``traceparent``: those of the caller, or new
    ones. When it has been sent, the logger ``concurrency.request`` writes one line.
    """

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        requests.register()
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return follow(request, self._in_time)

    def _in_time(self, request: HttpRequest) -> HttpResponse:
        try:
            asked = _asked_for(request)
        except ValueError as error:
            return _plain(400, str(error))
        request.concurrency_watch = watch = _watch(request)
        try:
            with (
                deadline(_nearer(asked, conf.REQUEST_DEADLINE)) as limit,
                watch.calling(limit.expire),
            ):
                request.concurrency_limit = limit
                _reschedule_when_taken(request, limit, asked)
                response = self._get_response(request)
        except DeadlineExceeded as error:
            return _gone() if watch.has_gone else _timed_out(error)
        if getattr(response, "file_to_stream", None) is not None:
            hooks.run(hooks.before_wait)  # the server sends the file by itself
        elif response.streaming and (not response.is_async or is_installed()):
            if response.is_async:
                # Django would read all of it before it sends the first piece.
                response.streaming_content = iterate(response.streaming_content)
            chunks = response.streaming_content
            response.streaming_content = _lending(
                _until_gone(chunks, watch) if watch.enabled else chunks
            )
        return response

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> None:
        """Apply the decorators of the view."""
        seconds = getattr(view, _DEADLINE, NotImplemented)
        if seconds is not NotImplemented:
            limit, nearer = request.concurrency_limit, _nearer(_asked_for(request), seconds)
            limit.reschedule(nearer)
            _reschedule_when_taken(request, limit, nearer)
        wanted = getattr(view, _CANCEL, None)
        if wanted is not None:
            request.concurrency_watch.enable(wanted)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Respond with 504 to a ``DeadlineExceeded`` of a view, with 400 to an incomplete body."""
        if isinstance(error, UnreadablePostError):
            return _plain(400, f"The body of the request cannot be read: {error}.")
        return _timed_out(error) if isinstance(error, DeadlineExceeded) else None


def _reschedule_when_taken(request: HttpRequest, limit: deadline, seconds: float) -> None:
    """Change the limit when the application takes the connection over, as for a WebSocket."""
    on_take = getattr(request.META.get("gunicorn.socket"), "on_take", None)
    if on_take is not None:
        # No reference to the request, which would be garbage that only `gc` finds.
        on_take(partial(_reschedule, limit, seconds))


def _reschedule(limit: deadline, seconds: float) -> None:
    with suppress(RuntimeError):  # its block has been left
        limit.reschedule(seconds)


def _lending(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Lend idle connections from when a chunk is sent until the next is requested."""
    for chunk in chunks:
        hooks.run(hooks.before_wait)
        yield chunk


def _watch(request: HttpRequest) -> Watch:
    """Return what watches the client of a request; gunicorn provides its socket."""
    safe = request.method in ("GET", "HEAD")
    sock = request.META.get("gunicorn.socket")
    return Watch(sock, enabled=bool(safe and conf.CANCEL_ON_DISCONNECT))


def _until_gone(chunks: Iterable[bytes], watch: Watch) -> Iterator[bytes]:
    """Yield chunks until the client disconnects; it is watched while a chunk is made."""
    iterator = iter(chunks)
    while True:
        try:
            with deadline(None) as limit, watch.calling(limit.expire):
                chunk = next(iterator, None)
        except DeadlineExceeded:
            if watch.has_gone:
                return
            raise
        if chunk is None:
            return
        yield chunk


def _nearer(asked: float, own: float | None) -> float:
    return asked if own is None else min(asked, own)


def _asked_for(request: HttpRequest) -> float:
    """Return how many seconds the caller will wait; infinity if it does not say."""
    value = request.META.get(_TIMEOUT)
    if value is None:
        return math.inf
    if not (value.isascii() and value.isdigit()):
        raise ValueError(f"{TIMEOUT_HEADER} must be a whole number of milliseconds")
    return int(value[:12]) / 1000


def _timed_out(error: DeadlineExceeded) -> HttpResponse:
    return _plain(504, f"The request took longer than it may: {error}.")


def _gone() -> HttpResponse:
    return HttpResponse(status=_CLIENT_CLOSED_REQUEST, reason="Client Closed Request")


def _plain(status: int, sentence: str) -> HttpResponse:
    return HttpResponse(f"{sentence}\n", status=status, content_type="text/plain; charset=utf-8")
