"""How the API of tweets says what went wrong."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from rest_framework.exceptions import APIException, NotFound
from rest_framework.response import Response
from rest_framework.views import exception_handler

__all__ = ["Late", "TooLarge", "explain"]


class Late(APIException):
    """The time for a timeline has run out."""

    status_code = 504
    default_detail = "This took too long. Please try again later."


class TooLarge(APIException):
    """A body is longer than anybody reads."""

    status_code = 413
    default_detail = "This is too large."


def explain(error: Exception, context: dict[str, Any]) -> Response | None:
    """Answer an error of a view; what is not there is "Not found." whatever it was."""
    return exception_handler(NotFound() if isinstance(error, Http404) else error, context)
