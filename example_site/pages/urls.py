"""What browsers ask every service for without being told."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import path

__all__ = ["urlpatterns"]


def no_icon(request: HttpRequest) -> HttpResponse:
    """Answer that there is no icon, which is not an error."""
    return HttpResponse(status=204, headers={"Cache-Control": "public, max-age=86400"})


urlpatterns = [path("favicon.ico", no_icon)]
