"""How the views answer: text to a program, a page to a browser, and errors as sentences."""

from __future__ import annotations

import logging
from functools import wraps

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from concurrency.errors import DeadlineExceeded
from example_site.answers import View, problem, text
from example_site.apps.slowsql.fanout import ChildError, Outcome
from example_site.apps.slowsql.parameters import ParameterError

__all__ = ["answer", "says_what_is_wrong"]

logger = logging.getLogger(__name__)


def answer(request: HttpRequest, outcome: Outcome, context: dict[str, object]) -> HttpResponse:
    """Return the ten squares, one a line, or a page with their timeline to a browser."""
    if wants_page(request):
        response = render(request, "slowsql/ten.html", {**context, "timeline": outcome.timeline})
    else:
        response = text("".join(f"{square}\n" for square in outcome.squares))
    response["Vary"] = "Accept"
    # Each visit is a measurement of its own.
    response["Cache-Control"] = "no-store"
    return response


def wants_page(request: HttpRequest) -> bool:
    """Return whether the sender likes HTML better than text; curl, which likes all, does not."""
    return request.get_preferred_type(["text/plain", "text/html"]) == "text/html"


def says_what_is_wrong(view: View) -> View:
    """Answer what a view raises for bad parameters and failed children with a sentence."""

    @wraps(view)
    def explained(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except ParameterError as error:
            return problem(request, 400, str(error))
        except ChildError as error:
            logger.warning("%s: %s", request.path, error, exc_info=error)
            return problem(request, 502, error.sentence)
        except DeadlineExceeded as error:
            return problem(request, 504, f"Not all ten answers came in time: {error}.")

    return explained
