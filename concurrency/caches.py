"""One client for each cache alias of a process, shared by its greenlets.

Django keeps cache backends in a context-local: each greenlet makes its own, with
its own connections, so that a thousand children open a thousand connections to
Redis. Backends that are safe to share are kept for the process instead, and their
connections are bounded.
"""

from __future__ import annotations

import threading
from typing import Any

from django.core import cache, signals
from django.core.cache import CacheHandler, caches
from django.core.cache.backends.redis import RedisCache

from concurrency.compat import django
from concurrency.conf import conf

# Backends whose client belongs to one thread at a time.
_UNSHARED = frozenset({"django.core.cache.backends.memcached.PyLibMCCache"})


class _SharedCaches:
    """Where the handler keeps its backends: for the process, or for the greenlet."""

    def __init__(self, local: Any) -> None:
        self.__dict__["_local"] = local

    def __getattr__(self, alias: str) -> Any:
        # Only reached for what is not shared.
        return getattr(self._local, alias)

    def __setattr__(self, alias: str, backend: Any) -> None:
        if _is_shared(alias):
            self.__dict__[alias] = backend
        else:
            setattr(self._local, alias, backend)

    def __delattr__(self, alias: str) -> None:
        if alias in self.__dict__:
            del self.__dict__[alias]
        else:
            delattr(self._local, alias)


def _is_shared(alias: str) -> bool:
    return caches.settings[alias]["BACKEND"] not in _UNSHARED


def share_clients() -> None:
    """Make the greenlets of this process share cache backends.

    Django closes the backends that were used when a request ends. A shared one
    is in use by others at that time, so it is left open.
    """
    if isinstance(django.storage(caches), _SharedCaches):
        return
    django.set_storage(caches, _SharedCaches(django.storage(caches)))
    caches.create_connection = _create_once
    signals.request_finished.disconnect(cache.close_caches)
    signals.request_finished.connect(_close_unshared, dispatch_uid="concurrency.caches")


_creating = threading.RLock()


def _create_once(alias: str) -> Any:
    """Make a backend, or return the one that another greenlet has just made."""
    with _creating:
        made = vars(django.storage(caches)).get(alias)
        if made is None:
            made = CacheHandler.create_connection(caches, alias)
            _bound_connections(made)
        return made


def _bound_connections(backend: Any) -> None:
    """Have Django's Redis backend wait for a connection instead of opening one more."""
    if not isinstance(backend, RedisCache):
        return
    options = django.options_of_cache(backend)
    if "pool_class" not in options:
        bounded = {"max_connections": conf.CACHE_MAX_CONNECTIONS, **options}
        pool_class = "redis.BlockingConnectionPool"
        django.set_options_of_cache(backend, bounded | {"pool_class": pool_class})


def _close_unshared(**kwargs: Any) -> None:
    for alias in caches.settings:
        if not _is_shared(alias) and (backend := getattr(django.storage(caches), alias, None)):
            backend.close()
