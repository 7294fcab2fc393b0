"""Limits how often passwords are tried: ``THROTTLE_LOGIN`` in the environment.

A form is counted before the password is looked at. django-axes counts failures afterwards, so of
many forms at the same time all are tried, and each costs a hash.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from example_site.answers import problem
from example_site.limits import address, seconds_to_wait

__all__ = ["LoginThrottleMiddleware"]

FORMS = {"admin:login", "rest_framework:login"}


class LoginThrottleMiddleware:
    """Answer 429 to an address that has sent too many login forms in this minute.

    Addresses are counted and not accounts: otherwise a stranger could lock somebody out.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_view(self, request: HttpRequest, *_view: Any) -> HttpResponse | None:
        """Count a form that is sent, right or wrong; None lets it through."""
        match = request.resolver_match
        if request.method != "POST" or match is None or match.view_name not in FORMS:
            return None
        wait = seconds_to_wait(f"login:{address(request)}", settings.THROTTLE_LOGIN)
        if not wait:
            return None
        response = problem(request, 429, "Too many attempts to log in. Try again in a minute.")
        response["Retry-After"] = str(math.ceil(wait))
        return response
