"""The pages that greet."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from concurrency import deadline
from concurrency.errors import DeadlineExceeded
from example_site.answers import read_only
from example_site.apps.ui.calls import Calls
from example_site.apps.ui.parameters import Asked, read
from example_site.apps.ui.welcome import (
    BadTime,
    UnknownLanguage,
    UnknownPerson,
    greet,
    greet_everyone,
)
from example_site.backends import BackendDown, BackendSlow

__all__ = ["everyone", "greeting"]

logger = logging.getLogger(__name__)

# Of the persons that there are to begin with; the form takes any other as well.
SUGGESTED = {
    "adler": "Irene Adler",
    "hudson": "Mrs. Hudson",
    "lestrade": "Inspector G. Lestrade",
    "moriarty": "James Moriarty",
    "sherlock": "Sherlock Holmes",
    "watson": "John Watson",
}
# Times the limit of the page that greets one.
FOR_EVERYONE = 2

Content = dict[str, Any]


@read_only
def greeting(request: HttpRequest) -> HttpResponse:
    """Greet one person, or ask whom to greet."""
    asked, calls = read(request), Calls()

    def content() -> Content:
        if not asked.person:
            return {}
        with deadline(settings.PAGE_DEADLINE):
            return {"welcome": greet(calls, asked.person, asked.lang, asked.moment)}

    return _page(request, "ui/greeting.html", asked, calls, content)


@read_only
def everyone(request: HttpRequest) -> HttpResponse:
    """Greet all persons at the same time."""
    asked, calls = read(request), Calls()

    def content() -> Content:
        with deadline(FOR_EVERYONE * settings.PAGE_DEADLINE):
            return {"welcomes": greet_everyone(calls, asked.lang, asked.moment)}

    return _page(request, "ui/everyone.html", asked, calls, content)


def _page(
    request: HttpRequest, template: str, asked: Asked, calls: Calls, content: Callable[[], Content]
) -> HttpResponse:
    """Render a page with its content, or with the sentence that says why there is none."""
    status, found = _outcome(content)
    context = {
        **found,
        "asked": asked,
        "languages": settings.LANGUAGES,
        "suggested": SUGGESTED,
        "elsewhere": {name: url.rstrip("/") for name, url in settings.PUBLIC_URLS.items() if url},
    }
    if settings.DEVELOPMENT:
        timeline = calls.timeline(_("Calls to other services"))
        context["timeline"] = timeline if timeline.bars else None
    response = render(request, template, context, status=status)
    # It depends on the time, and on who is up.
    response["Cache-Control"] = "no-store"
    return response


def _outcome(content: Callable[[], Content]) -> tuple[int, Content]:
    """Return the status of a page, and its content or what went wrong."""
    try:
        return 200, content()
    except UnknownPerson as error:
        return 404, {"problem": _("There is no person “%s”.") % str(error)[:40]}
    except UnknownLanguage as error:
        return 404, {"problem": _("There is no greeting in “%s”.") % str(error)[:40]}
    except BadTime as error:
        sentence = _("The time has to be from 00:00:00 to 23:59:59, not “%s”.")
        return 400, {"problem": sentence % str(error)[:40]}
    except BackendSlow as error:
        logger.warning("a page is not complete: %s", error)
        sentence = _("The service “%s” did not answer in time. Please try again later.")
        return 504, {"problem": sentence % error.service}
    except BackendDown as error:
        logger.warning("a page is not complete: %s", error)
        sentence = _("The service “%s” does not answer as it should. Please try again later.")
        return 502, {"problem": sentence % error.service}
    except DeadlineExceeded:
        return 504, {"problem": _("This took too long. Please try again later.")}
