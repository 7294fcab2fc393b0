"""The language of a page: what its address asks for, else what the browser prefers."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.cache import patch_vary_headers

__all__ = ["LanguageMiddleware"]


class LanguageMiddleware:
    """Answer in the language of ``?lang=`` or ``Accept-Language``, error pages too."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.GET.get("lang", "").strip().lower()
        # Links to other pages keep it.
        request.chosen_language = given if given in dict(settings.LANGUAGES) else ""
        preferred = translation.get_language_from_request(request)
        with translation.override(request.chosen_language or preferred):
            response = self._get_response(request)
            response["Content-Language"] = translation.get_language()
        patch_vary_headers(response, ["Accept-Language"])
        return response
