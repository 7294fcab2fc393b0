"""What every service answers to whatever else it is asked for; to be included last."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import path, re_path
from django.views.decorators.csrf import csrf_exempt

from example_site.pages.about import about
from example_site.pages.errors import page_not_found

__all__ = ["urlpatterns"]


def no_icon(request: HttpRequest) -> HttpResponse:
    """Answer that there is no icon, which is not an error."""
    return HttpResponse(status=204, headers={"Cache-Control": "public, max-age=86400"})


urlpatterns = [
    path("", about),
    path("favicon.ico", no_icon),
    # With DEBUG as well, where Django would show its insides. Addresses without a slash at
    # their end are left to Django, which adds it.
    re_path(r"^(?:.*/)?$", csrf_exempt(page_not_found)),
]
