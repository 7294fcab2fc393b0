"""HTTP basic authentication against the one account in the settings.

Reads ``DEMO_USER`` and ``DEMO_PASSWORD``. Does not depend on the views it guards.
"""

from __future__ import annotations

import base64
import binascii
from functools import wraps

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext as _

from example_site.answers import View, problem

__all__ = ["authorization_header", "basic_auth_required"]


def basic_auth_required(view: View) -> View:
    """Let only requests with the right user and password through; answer 401 to the rest."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        if not _is_right(request.META.get("HTTP_AUTHORIZATION", "")):
            sentence = _("This page needs a user and a password (HTTP basic authentication).")
            response = problem(request, 401, sentence)
            response["WWW-Authenticate"] = 'Basic realm="demo", charset="UTF-8"'
            return response
        return view(request, *args, **kwargs)

    return guarded


def authorization_header() -> str:
    """Return the value of the header ``Authorization`` that this site accepts."""
    pair = f"{settings.DEMO_USER}:{settings.DEMO_PASSWORD}".encode()
    return "Basic " + base64.b64encode(pair).decode("ascii")


def _is_right(header: str) -> bool:
    given = _decode(header)
    if given is None:
        return False
    # Both are compared whatever the first says, so that the time taken does not
    # tell whether the user exists.
    user = constant_time_compare(given[0], settings.DEMO_USER.encode())
    password = constant_time_compare(given[1], settings.DEMO_PASSWORD.encode())
    return user & password


def _decode(header: str) -> tuple[bytes, bytes] | None:
    """Return user and password, or None for a header that is not well-formed."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        pair = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):  # ValueError: not ASCII
        return None
    user, colon, password = pair.partition(b":")
    return (user, password) if colon else None
