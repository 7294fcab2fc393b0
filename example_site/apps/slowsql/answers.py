"""How the views answer: text to a program, a page to a browser, and errors as sentences."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse

from concurrency.errors import DeadlineExceeded
from example_site.answers import View, problem, text
from example_site.apps.slowsql.fanout import ChildError, Outcome
from example_site.apps.slowsql.parameters import ParameterError
from example_site.apps.slowsql.waiting import WaitingPage, render_page

__all__ = ["answer", "says_what_is_wrong"]

logger = logging.getLogger(__name__)


def answer(
    request: HttpRequest, run: Callable[[], Outcome], context: dict[str, object]
) -> HttpResponse | StreamingHttpResponse:
    """Return ten squares, one a line, or a page with their timeline to a browser.

    Args:
        request: what is answered.
        run: makes the squares, which may take long: a browser is shown how far it is.
        context: what the page says besides.
    """
    response: HttpResponse | StreamingHttpResponse
    if not wants_page(request):
        response = text("".join(f"{square}\n" for square in run().squares))
    else:
        page = WaitingPage(request, run, context, lambda error: _explanation(request, error))
        if (outcome := page.outcome()) is not None:
            response = HttpResponse(render_page(request, context, timeline=outcome.timeline))
        else:
            # nginx would keep it until all is there.
            response = StreamingHttpResponse(page, headers={"X-Accel-Buffering": "no"})
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
        except (ParameterError, ChildError, DeadlineExceeded) as error:
            return problem(request, *_explanation(request, error))

    return explained


def _explanation(request: HttpRequest, error: Exception) -> tuple[int, str]:
    """Return the status and the sentence for an error; raise what is a mistake of our own."""
    if isinstance(error, ParameterError):
        return 400, str(error)
    if isinstance(error, ChildError):
        logger.warning("%s: %s", request.path, error, exc_info=error)
        return 502, error.sentence
    if isinstance(error, DeadlineExceeded):
        return 504, f"Not all ten answers came in time: {error}."
    raise error
