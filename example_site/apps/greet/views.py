"""The API of greetings."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from example_site.answers import Problem, api, fact
from example_site.apps.greet.clock import read_time
from example_site.apps.greet.models import Greeting

__all__ = ["by_slug", "by_time"]

# What is said at times that have no greeting of their own.
AT_ANY_TIME = "hello"


@api
def by_slug(request: HttpRequest, slug: str) -> HttpResponse:
    """Answer the salutation of a greeting."""
    found = _find(slug)
    return fact(request, found.salutation, {"slug": found.slug, "salutation": found.salutation})


@api
def by_time(request: HttpRequest, moment: str) -> HttpResponse:
    """Answer the slug of the greeting for a time of day; ``hello`` when none is for it."""
    try:
        time_of_day = read_time(moment)
    except ValueError:
        raise Problem(
            400, f"The time has to be from 00:00:00 to 23:59:59, not {moment[:40]!r}."
        ) from None
    found = Greeting.for_time_of_day(time_of_day) or _find(AT_ANY_TIME)
    return fact(
        request,
        found.slug,
        {"time": moment, "slug": found.slug, "salutation": found.salutation},
    )


def _find(slug: str) -> Greeting:
    found = Greeting.objects.filter(slug=slug).first() if slug.isprintable() else None
    if found is None:
        raise Problem(404, f"There is no greeting {slug[:40]!r}.")
    return found
