"""A Django application of two views, for measuring the server and nothing else."""

from __future__ import annotations

import concurrency.patch  # noqa: F401 - importing it is what patches

# isort: split

import os
import time

from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

__all__ = ["application"]


def quick(request: HttpRequest) -> HttpResponse:
    """Answer without waiting for anything."""
    return HttpResponse("quick")


def burn(request: HttpRequest, milliseconds: int) -> HttpResponse:
    """Use the processor for some time."""
    end = time.thread_time() + milliseconds / 1000
    while time.thread_time() < end:
        pass
    return HttpResponse("burnt")


def wait(request: HttpRequest, milliseconds: int) -> HttpResponse:
    """Wait, as for a database."""
    time.sleep(milliseconds / 1000)
    return HttpResponse("waited")


urlpatterns = [
    path("", quick),
    path("burn/<int:milliseconds>/", burn),
    path("wait/<int:milliseconds>/", wait),
]

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bench.minimal_settings")
application = get_wsgi_application()
