"""The token by which services know each other: a JWT, signed with a key that they share.

A token tells who asks and who is asked, and is good for seconds. So one that was seen
somewhere opens no other service, and this one not for long.

Of two keys the first signs and both are believed, which is how they are changed without
a gap: add the new one behind the old one everywhere, then put it in front everywhere,
then take the old one away.
"""

from __future__ import annotations

import time
from typing import Any

import jwt
import requests
from django.conf import settings
from jwt.types import Options
from requests.auth import AuthBase

__all__ = ["HEADER", "BadToken", "ServiceAuth", "caller"]

# Apart from Authorization, which says for which person something is done.
HEADER = "X-Service-Token"
ALGORITHM = "HS256"
# Seconds that a token is good for, and that the clocks of two machines may differ.
LIFETIME, LEEWAY = 30, 10
# The audience is one service: a token for a list of them would open each.
STRICT: Options = {"require": ["iss", "aud", "iat", "exp"], "strict_aud": True}

BadToken = jwt.InvalidTokenError


class ServiceAuth(AuthBase):
    """Adds a token to a request of a ``Session``, as its ``auth``; none where there is no key.

    Args:
        service: the name of the service that is asked.
    """

    def __init__(self, service: str) -> None:
        self._service = service

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if settings.SERVICE_TOKEN_KEYS:
            request.headers[HEADER] = _issue(self._service, settings.SERVICE_TOKEN_KEYS[0])
        return request


def _issue(service: str, key: str) -> str:
    now = int(time.time())
    claims = {"iss": settings.SERVICE, "aud": service, "iat": now, "exp": now + LIFETIME}
    return jwt.encode(claims, key, algorithm=ALGORITHM)


def caller(token: str) -> str:
    """Return the name of the service that a token to this one is from.

    Raises:
        BadToken: it is none, is for another service or for several, is too old or good for too
            long, or nobody we know signed it.
    """
    *others, last = settings.SERVICE_TOKEN_KEYS
    for key in others:
        try:
            return _read(token, key)
        except jwt.InvalidSignatureError:
            continue
    return _read(token, last)


def _read(token: str, key: str) -> str:
    claims: dict[str, Any] = jwt.decode(
        token,
        key,
        algorithms=[ALGORITHM],
        audience=settings.SERVICE,
        leeway=LEEWAY,
        options=STRICT,
    )
    # Whoever has the key could write a token for years; it is good for no longer than ours are.
    if int(claims["exp"]) - int(claims["iat"]) > LIFETIME:
        raise BadToken(f"Token is to be good for more than {LIFETIME} s")
    return str(claims["iss"])
