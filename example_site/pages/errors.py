"""What Django answers when a view does not: a sentence, never the insides."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from example_site.answers import problem

__all__ = ["bad_request", "page_not_found", "permission_denied", "server_error"]


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 400."""
    return problem(request, 400, "This request cannot be understood.")


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 403."""
    return problem(request, 403, "You may not do this.")


def page_not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 404."""
    return problem(request, 404, f"There is nothing at {request.path[:200]}.")


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 500."""
    return problem(request, 500, "Something went wrong here. It has been written to the log.")
