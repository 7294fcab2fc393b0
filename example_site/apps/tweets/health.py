"""Whether the tweets can be read."""

from __future__ import annotations

import logging

from django.db import Error
from django.http import HttpRequest, HttpResponse, JsonResponse

from concurrency import deadline
from concurrency.errors import DeadlineExceeded
from example_site.answers import read_only
from example_site.apps.tweets.models import Tweet

__all__ = ["healthcheck"]

logger = logging.getLogger(__name__)

# Seconds; who asks has little patience.
LIMIT = 2.0


@read_only
def healthcheck(request: HttpRequest) -> HttpResponse:
    """Read one tweet; 500 when that fails, and the log alone tells why."""
    try:
        with deadline(LIMIT):
            Tweet.objects.first()
    except (Error, DeadlineExceeded) as error:
        logger.error("the tweets cannot be read: %s", error)
        state: dict[str, str] = {"status": "nok", "err_msg": "Error accessing DB"}
    else:
        state = {"status": "ok"}
    sound = state["status"] == "ok"
    response = JsonResponse({"status": state["status"], "db": state}, status=200 if sound else 500)
    response["Cache-Control"] = "no-store"
    return response
