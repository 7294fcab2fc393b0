"""Makes a service slow, for demonstrations: ``DEVELOPMENT_DELAY`` in the environment."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

__all__ = ["DelayMiddleware"]


class DelayMiddleware:
    """Wait before each answer; settings for development alone put it in."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        time.sleep(settings.DEVELOPMENT_DELAY)
        return self._get_response(request)
