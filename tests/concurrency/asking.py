"""A request through the middleware to a view, without a server."""

from __future__ import annotations

from django.http import HttpResponse
from django.test import RequestFactory

from concurrency.middleware import ConcurrencyMiddleware


def ask(view, **headers: str) -> HttpResponse:
    """Send a request with these headers through the middleware to a view."""
    request = RequestFactory().get("/some/where/", headers=headers)
    request.resolver_match = None
    response = ConcurrencyMiddleware(view)(request)
    if response.streaming:
        b"".join(response.streaming_content)
        response.close()
    return response
