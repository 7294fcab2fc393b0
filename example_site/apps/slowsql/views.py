"""The pages of the demonstration."""

from __future__ import annotations

import logging
from functools import partial

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from concurrency.middleware import cancel_on_disconnect
from concurrency.patch import is_patched
from example_site.answers import problem, read_only, text
from example_site.apps.slowsql.answers import answer, says_what_is_wrong
from example_site.apps.slowsql.credentials import basic_auth_required
from example_site.apps.slowsql.fanout import Square, run_ten
from example_site.apps.slowsql.loopback import ask_for_square
from example_site.apps.slowsql.parameters import read_seconds, read_x
from example_site.apps.slowsql.reasons import reason
from example_site.apps.slowsql.statement import square_slowly

__all__ = ["slow_sql", "ten_slow_queries", "ten_slow_requests"]

logger = logging.getLogger(__name__)

NOT_PATCHED = (
    "This process is not patched, so it does one thing at a time: it would wait for itself. Start "
    "it without CONCURRENCY_PATCH=0, and with `import concurrency.patch` as the first import."
)


@cancel_on_disconnect(True)
@read_only
@basic_auth_required
@says_what_is_wrong
def slow_sql(request: HttpRequest) -> HttpResponse:
    """Answer the square of ``x``, computed by the database after it slept for ``seconds``."""
    x, seconds = read_x(request.GET), read_seconds(request.GET)
    try:
        return text(str(square_slowly(x, seconds)))
    except DatabaseError as error:
        logger.exception("slow-sql: x=%s, seconds=%s", x, seconds)
        return problem(request, 503, f"The database failed: {reason(error)}.")


@cancel_on_disconnect(True)
@read_only
@basic_auth_required
@says_what_is_wrong
def ten_slow_requests(request: HttpRequest) -> HttpResponse:
    """Answer ten squares that this server asked itself for, all at the same time."""
    return _ten(request, ask_for_square, "requests", _("Ten slow requests"))


@cancel_on_disconnect(True)
@read_only
@basic_auth_required
@says_what_is_wrong
def ten_slow_queries(request: HttpRequest) -> HttpResponse:
    """Answer ten squares from ten statements on ten connections at the same time."""
    return _ten(request, square_slowly, "queries", _("Ten slow queries"))


def _ten(request: HttpRequest, square: Square, what: str, title: str) -> HttpResponse:
    seconds = read_seconds(request.GET)
    if not is_patched():
        return problem(request, 503, NOT_PATCHED)
    plain = f"{seconds:g}"
    context = {"what": what, "title": title, "seconds": number_format(plain), "duration": plain}
    return answer(request, partial(run_ten, square, seconds, title), context)
