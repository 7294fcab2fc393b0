"""How often somebody may ask.

Requests are counted in the cache, which adds in one step: neither two greenlets nor two
processes can both be the last one allowed.
"""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING
from urllib.parse import quote

from django.conf import settings
from django.core.cache import cache
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

if TYPE_CHECKING:  # which imports its defaults, and this is one
    from rest_framework.views import APIView

__all__ = ["PerMinute"]

MINUTE = 60


class PerMinute(BaseThrottle):
    """So many requests in each minute: of an account, or of an address without one."""

    def allow_request(self, request: Request, view: APIView) -> bool:
        """Count a request, and return whether it is still within the limit; 0 is none."""
        account = request.user.pk if request.user else None
        who = f"account:{account}" if account else f"address:{_address(request)}"
        limit = settings.THROTTLE_ACCOUNT if account else settings.THROTTLE_ANONYMOUS
        if not limit:
            return True
        minute, second = divmod(time(), MINUTE)
        self._left = MINUTE - second
        key = f"throttle:{who}:{minute:.0f}"
        cache.add(key, 0, timeout=2 * MINUTE)
        try:
            return cache.incr(key) <= limit
        except ValueError:  # a cache that was full has dropped it: the count begins again
            return True

    def wait(self) -> float:
        """Return the seconds until the next minute begins, float."""
        return self._left


def _address(request: Request) -> str:
    """Return the client's address; of a chain of proxies, only ours are believed."""
    header = request.headers.get("X-Forwarded-For", "")
    chain = [*filter(None, header.split(",")), request.META.get("REMOTE_ADDR", "")]
    trusted = min(settings.TRUSTED_PROXIES, len(chain) - 1)
    return quote(chain[-1 - trusted].strip()[:64])
