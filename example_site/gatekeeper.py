"""Lets nobody into an internal service but other services: see ``example_site.tokens``."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, HttpResponse

from example_site.answers import problem
from example_site.tokens import HEADER, BadToken, caller

__all__ = ["ServiceTokenMiddleware"]

logger = logging.getLogger(__name__)

SENTENCE = f"This service answers other services alone, by a valid token in {HEADER}."


class ServiceTokenMiddleware:
    """Answer 401 to whoever has no valid token, where SERVICE_TOKENS_REQUIRED is on."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        if not settings.SERVICE_TOKENS_REQUIRED:
            raise MiddlewareNotUsed
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            caller(request.headers.get(HEADER, ""))
        except BadToken as error:
            # Why is for us; the caller is told nothing that helps to guess.
            logger.warning("%r is refused: %s", request.path, error)
            response = problem(request, 401, SENTENCE)
            response["WWW-Authenticate"] = HEADER
            return response
        return self._get_response(request)
