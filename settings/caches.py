"""A cache URL becomes an entry of CACHES.

Owns which kinds of cache there are to choose from: those that count in one step. What is counted
there is not known here.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from settings import environment

REDIS: Final = frozenset({"redis", "rediss", "unix"})


def from_url(url: str) -> dict[str, Any]:
    """Return the entry of CACHES for a URL such as `redis://host:6379/0`; empty for memory.

    Memory is each process's own: what several worker processes count, they count apart.

    Raises:
        SettingsError: The URL is not one of Redis.
    """
    if not url:
        # Django's own limit of 300 would soon drop what is counted.
        memory = "django.core.cache.backends.locmem.LocMemCache"
        return {"BACKEND": memory, "OPTIONS": {"MAX_ENTRIES": 100_000}}
    if urlsplit(url).scheme not in REDIS:
        raise environment.SettingsError("CACHE_URL", "is not like redis://host:6379/0")
    return {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": url}
