"""How often somebody may do something in a minute.

It is counted in the cache, which adds in one step: neither two greenlets nor two processes can
both be the last one allowed.

Django REST framework's own throttles read a list, add to it and write it back: with a limit of
three they let fifty requests through that wait for the cache at the same time. django-ratelimit
counts as this module does, but its checks refuse a cache in memory, which is what there is
without CACHE_URL.
"""

from __future__ import annotations

from time import time
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.core.cache import cache

__all__ = ["address", "seconds_to_wait"]

MINUTE = 60


def seconds_to_wait(who: str, limit: int) -> float:
    """Count once more, and return 0.0 within the limit, else the seconds to the next minute.

    Args:
        who: whose count it is.
        limit: so many in each minute; 0 for no limit.
    """
    if not limit:
        return 0.0
    minute, second = divmod(time(), MINUTE)
    key = f"limit:{who}:{minute:.0f}"
    cache.add(key, 0, timeout=2 * MINUTE)
    try:
        return 0.0 if cache.incr(key) <= limit else MINUTE - second
    except ValueError:  # a cache that was full has dropped it: the count begins again
        return 0.0


def address(request: Any) -> str:
    """Return the client's address; of a chain of proxies, only ours are believed."""
    header = request.headers.get("X-Forwarded-For", "")
    chain = [*filter(None, header.split(",")), request.META.get("REMOTE_ADDR", "")]
    trusted = min(settings.TRUSTED_PROXIES, len(chain) - 1)
    return quote(chain[-1 - trusted].strip()[:64])
