"""How services answer: text or JSON as the caller likes, and errors as sentences.

Knows HTTP and nothing of what is answered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from hashlib import blake2b
from http import HTTPStatus

from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.utils.http import quote_etag
from django.utils.translation import gettext
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

__all__ = ["Problem", "View", "api", "fact", "problem", "read_only", "text", "wants_page"]

View = Callable[..., HttpResponse]

TEXT, JSON, HTML = "text/plain", "application/json", "text/html"
# Facts change by hand, once in a while. Not for shared caches: callers may have to show a token.
KEEP = "private, max-age=60"


class Problem(Exception):
    """A view cannot answer; ``api`` makes a response of it.

    Attributes:
        status: the HTTP status.
        sentence: what is wrong, for the caller to read.
    """

    def __init__(self, status: int, sentence: str) -> None:
        self.status = status
        self.sentence = sentence
        super().__init__(status, sentence)


def read_only(view: View) -> View:
    """Allow GET and HEAD; any other method is answered 405, whether it has a CSRF token or not."""
    return csrf_exempt(require_safe(view))


def api(view: View) -> View:
    """Make a view one of a service's API: read only, and a ``Problem`` is answered as such."""

    @wraps(view)
    def explained(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except Problem as error:
            return problem(request, error.status, error.sentence)

    return read_only(explained)


def text(body: str, status: int = 200) -> HttpResponse:
    """Return a plain text response."""
    return HttpResponse(body, status=status, content_type=f"{TEXT}; charset=utf-8")


def fact(request: HttpRequest, plain: str, data: Mapping[str, object]) -> HttpResponse:
    """Answer a fact, as text or as JSON, with an ETag; 304 to who knows it already.

    Args:
        request: what is answered; ``?format=json`` and ``?format=text`` come before ``Accept``.
        plain: the fact as text.
        data: the fact as an object of JSON.

    Raises:
        Problem: ``format`` is something else.
    """
    wanted = request.GET.get("format")
    if wanted not in {None, "text", "json"}:
        raise Problem(400, f"The parameter format has to be json or text, not {wanted[:40]!a}.")
    as_json = wanted == "json" or (wanted is None and _preferred(request, TEXT, JSON) == JSON)
    response = _json(data) if as_json else text(plain)
    response["Cache-Control"] = KEEP
    response["ETag"] = quote_etag(blake2b(response.content, digest_size=16).hexdigest())
    patch_vary_headers(response, ["Accept"])
    return get_conditional_response(request, etag=response["ETag"], response=response)


def problem(request: HttpRequest, status: int, sentence: str) -> HttpResponse:
    """Answer an error as a sentence: as text, as JSON, or as a page to a browser."""
    kind = JSON if _says_json(request) else _preferred(request, TEXT, JSON, HTML)
    if kind == JSON:
        response: HttpResponse = _json({"status": status, "error": sentence})
    elif kind == HTML:
        context = {
            "status": status,
            "title": gettext(HTTPStatus(status).phrase),
            "sentence": sentence,
        }
        response = render(request, "pages/error.html", context)
    else:
        response = text(f"{sentence}\n")
    response.status_code = status
    response["Cache-Control"] = "no-store"
    patch_vary_headers(response, ["Accept"])
    return response


def wants_page(request: HttpRequest) -> bool:
    """Return whether the sender likes HTML best; curl, which likes all the same, does not."""
    return not request.GET.get("format") and _preferred(request, TEXT, JSON, HTML) == HTML


def _says_json(request: HttpRequest) -> bool:
    try:
        return request.GET.get("format") == "json"
    except SuspiciousOperation:  # a query that cannot be read may be what the error is about
        return False


def _json(data: Mapping[str, object]) -> HttpResponse:
    return JsonResponse(data, json_dumps_params={"ensure_ascii": False})


def _preferred(request: HttpRequest, *kinds: str) -> str | None:
    """Return what the caller likes best; the first for who, like curl, likes all the same."""
    return request.get_preferred_type(list(kinds))
