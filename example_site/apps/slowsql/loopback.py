"""Asks this same server for ``/slow-sql/``, through one HTTP session of the process.

Address and credentials come from the settings. The ``Host`` header of a request
is its sender's choice and is never used.
"""

from __future__ import annotations

from functools import cache

import requests
from django.conf import settings
from django.urls import reverse

from concurrency.http import Session
from example_site.apps.slowsql.credentials import authorization_header
from example_site.apps.slowsql.reasons import reason

__all__ = ["LoopbackError", "ask_for_square"]

# A wait for the database's answer may be as long as the statement; what comes
# on top is the server's own time.
_MARGIN = 5.0


class LoopbackError(Exception):
    """This server gave itself no square; the text says why, in words for strangers."""


def ask_for_square(x: int, seconds: float) -> int:
    """Return ``x`` squared, as ``/slow-sql/`` of this server answers it.

    Args:
        x: the number.
        seconds: how long the statement behind it sleeps.

    Raises:
        LoopbackError: there was no answer, or not the status 200 and a number.
    """
    try:
        response = _get(x, seconds)
    except requests.RequestException as error:
        raise LoopbackError(reason(error)) from error
    if response.status_code != 200:
        raise LoopbackError(f"answered {response.status_code} {response.reason}: {_gist(response)}")
    try:
        return int(response.text)
    except ValueError:
        raise LoopbackError(f"answered no number: {_gist(response)}") from None


def _get(x: int, seconds: float) -> requests.Response:
    return _session().get(
        settings.DEMO_BASE_URL.rstrip("/") + reverse("slowsql:slow-sql"),
        params={"x": x, "seconds": seconds},
        timeout=(3.05, seconds + _MARGIN),
        allow_redirects=False,
    )


@cache
def _session() -> Session:
    """Return the session that all requests of this process share."""
    session = Session()
    # Neither a proxy nor a .netrc of whoever started the server has a say in this.
    session.trust_env = False
    session.headers["Authorization"] = authorization_header()
    return session


def _gist(response: requests.Response) -> str:
    """Return the first line of an answer, short enough for a message."""
    lines = response.text[:500].strip().splitlines()
    return lines[0][:200] if lines else "(empty)"
