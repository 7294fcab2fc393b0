"""Asks other services, and says of a failure whose it was.

Owns the one HTTP session of the process. Every answer is an object of JSON; what is
none, or not what was expected, is the service's failure and not the caller's.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import requests

from concurrency.http import Session
from example_site import discovery
from example_site.tokens import ServiceAuth

__all__ = ["BackendDown", "BackendError", "BackendSlow", "NotThere", "Refused", "ask", "text_of"]

# Connections to one service. More calls than this wait for one of them.
MAX_CONNECTIONS = 100
CONNECT_TIMEOUT, READ_TIMEOUT = 3.05, 10.0
# What services answer of their own fault, and what it means that they had no time.
SERVER_ERROR, GATEWAY_TIMEOUT = 500, 504
# And that they do not know us, which is no fault of what was asked for.
NO_TOKEN = {401, 403}


class BackendError(Exception):
    """A service did not answer as it should.

    Attributes:
        service: its name.
        why: what happened, for a log.
    """

    def __init__(self, service: str, why: str) -> None:
        self.service = service
        self.why = why
        super().__init__(service, why)

    def __str__(self) -> str:
        return f"service {self.service}: {self.why}"


class BackendDown(BackendError):
    """A service cannot be reached, or answers what nobody can use."""


class BackendSlow(BackendError):
    """A service did not answer in time."""


class NotThere(BackendError):
    """A service does not have what it was asked for."""


class Refused(BackendError):
    """A service says that what it was asked for cannot be."""


def ask(service: str, *path: str) -> dict[str, Any]:
    """Return what a service answers at a path.

    Args:
        service: its name.
        path: the parts of the path.

    Raises:
        NotThere: it answered 404.
        Refused: it answered another 4xx, or no address can say that path.
        BackendSlow: it answered 504, or its silence became too long.
        BackendDown: it did not answer, answered 401, 403 or 5xx, or no object of JSON.
        DeadlineExceeded: the time of the block around has run out.
    """
    try:
        address = discovery.url(service, *path)
    except discovery.UnreachablePath as error:
        raise Refused(service, str(error)) from error
    try:
        # Not followed elsewhere: the token is for this service.
        response = _session().get(address, auth=ServiceAuth(service), allow_redirects=False)
        return _read(service, response)
    except requests.Timeout as error:
        raise BackendSlow(service, _gist(error)) from error
    except requests.RequestException as error:
        raise BackendDown(service, _gist(error)) from error


def _read(service: str, response: requests.Response) -> dict[str, Any]:
    status = response.status_code
    said = f"answered {status}"
    if status == 404:
        raise NotThere(service, said)
    if status in NO_TOKEN:
        raise BackendDown(service, f"{said}: see SERVICE_TOKEN_KEYS of both")
    if 400 <= status < SERVER_ERROR:
        raise Refused(service, said)
    if status == GATEWAY_TIMEOUT:
        raise BackendSlow(service, said)
    if status != 200:
        raise BackendDown(service, said)
    try:
        data = response.json()
    except ValueError:
        raise BackendDown(service, "answered no JSON") from None
    if not isinstance(data, dict):
        raise BackendDown(service, "answered no object of JSON")
    return data


def text_of(service: str, data: dict[str, Any], key: str) -> str:
    """Return a text out of a service's answer.

    Raises:
        BackendDown: there is none of that name.
    """
    value = data.get(key)
    if not isinstance(value, str):
        raise BackendDown(service, f"answered without {key}")
    return value


@cache
def _session() -> Session:
    """Return the session that all requests of this process share."""
    session = Session(
        max_connections=MAX_CONNECTIONS,
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=READ_TIMEOUT,
    )
    # Neither a proxy nor a .netrc of whoever started the server has a say in this.
    session.trust_env = False
    session.headers["Accept"] = "application/json"
    return session


def _gist(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:200]}"
