"""What the first page of a service says that has no pages: what it is, and what to ask it."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers

from example_site.answers import api, fact, wants_page

__all__ = ["about"]


@api
def about(request: HttpRequest) -> HttpResponse:
    """Answer the service's name and purpose, with paths to try: as text, JSON or a page."""
    service, sentence, paths = settings.SERVICE, settings.ABOUT["sentence"], settings.ABOUT["paths"]
    data = {"service": service, "about": sentence, "paths": paths}
    if wants_page(request):
        page = render(request, "pages/about.html", data)
        patch_vary_headers(page, ["Accept"])
        return page
    lines = (f"This is the service {service}. {sentence}".strip(), *paths)
    return fact(request, "".join(f"{line}\n" for line in lines), data)
