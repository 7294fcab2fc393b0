"""``ConcurrencyMiddleware``: requests that end in time, and streams that hold nothing.

It comes first in ``MIDDLEWARE``, so that it is around all that a request does. It
knows nothing of databases: those end their work because they wait in its block, and
give back what is idle when they are told that somebody waits.
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

# nginx's own: nobody is there who could read it, but the access log is read.
_CLIENT_CLOSED_REQUEST = 499


def request_deadline(seconds: float | None) -> Callable[[View], View]:
    """Give the requests of one view a limit of their own.

    Args:
        seconds: the limit in seconds, counted from the beginning of the request;
            None means none. A caller can still ask for less.
    """

    def decorate(view: View) -> View:
        setattr(view, _DEADLINE, seconds)
        return view

    return decorate


def cancel_on_disconnect(wanted: bool) -> Callable[[View], View]:
    """Say for one view whether its work ends when its client has gone.

    Whatever the method is: a view that changes something is rolled back or left half
    done, as by a deadline, although its client may only have lost patience.

    Args:
        wanted: True or False, instead of ``CONCURRENCY["CANCEL_ON_DISCONNECT"]``.
    """

    def decorate(view: View) -> View:
        setattr(view, _CANCEL, wanted)
        return view

    return decorate


class ConcurrencyMiddleware:
    """Limit the time of each request, and answer 504 when it is over.

    The limit is ``CONCURRENCY["REQUEST_DEADLINE"]``, or that of the view's
    ``request_deadline``, shortened by the header ``X-Request-Timeout-Ms``. It ends
    with the response: a stream that is sent afterwards has none. Between the chunks of
    a stream its idle database connection is lent to others. With
    ``CONCURRENCY["CANCEL_ON_DISCONNECT"]``, or the view's ``cancel_on_disconnect``, a
    request or stream whose client has gone ends as one whose time is over.

    Each answer has ``X-Request-ID`` and ``traceparent``: what the caller sent, or new ones.
    When it has been sent, one line in the log of ``concurrency.request`` says so.
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
        """Take what the view itself has decided."""
        seconds = getattr(view, _DEADLINE, NotImplemented)
        if seconds is not NotImplemented:
            limit, nearer = request.concurrency_limit, _nearer(_asked_for(request), seconds)
            limit.reschedule(nearer)
            _reschedule_when_taken(request, limit, nearer)
        wanted = getattr(view, _CANCEL, None)
        if wanted is not None:
            request.concurrency_watch.enable(wanted)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Answer 504 to a ``DeadlineExceeded`` that a view lets pass, 400 to half a body."""
        if isinstance(error, UnreadablePostError):
            return _plain(400, f"The body of the request cannot be read: {error}.")
        return _timed_out(error) if isinstance(error, DeadlineExceeded) else None


def _reschedule_when_taken(request: HttpRequest, limit: deadline, seconds: float) -> None:
    """Have another limit from when the application takes the connection over.

    It has left HTTP then, as for a WebSocket.
    """
    on_take = getattr(request.META.get("gunicorn.socket"), "on_take", None)
    if on_take is not None:
        # No reference to the request, which would be garbage that only `gc` finds.
        on_take(partial(_reschedule, limit, seconds))


def _reschedule(limit: deadline, seconds: float) -> None:
    with suppress(RuntimeError):  # its block has been left
        limit.reschedule(seconds)


def _lending(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Give idle connections back while a chunk is sent and until the next is asked for."""
    for chunk in chunks:
        hooks.run(hooks.before_wait)
        yield chunk


def _watch(request: HttpRequest) -> Watch:
    """Return what looks after the client of a request; gunicorn gives its socket."""
    safe = request.method in ("GET", "HEAD")
    sock = request.META.get("gunicorn.socket")
    return Watch(sock, enabled=bool(safe and conf.CANCEL_ON_DISCONNECT))


def _until_gone(chunks: Iterable[bytes], watch: Watch) -> Iterator[bytes]:
    """Take chunks as long as there is a client; it is looked at while one is made."""
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
