"""What Django answers when a view does not: a sentence, never the insides."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from example_site.answers import problem

__all__ = ["bad_request", "forged", "page_not_found", "permission_denied", "server_error"]


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 400."""
    return problem(request, 400, _("This request cannot be understood."))


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 403."""
    return problem(request, 403, _("You may not do this."))


def forged(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer 403 to a form that was not this site's own; Django's log has the reason."""
    return problem(request, 403, _("This form is too old or not ours. Go back and load it anew."))


def page_not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 404."""
    return problem(request, 404, _("There is nothing at %s.") % request.path[:200])


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 500."""
    return problem(request, 500, _("Something went wrong here. It has been written to the log."))
