"""Cache backends are shared by the greenlets of a process, against a real Redis."""

from __future__ import annotations

import pytest
from django.core import signals
from django.core.cache import cache, caches
from django.test import override_settings
from gevent.lock import RLock

from concurrency import caches as shared
from concurrency import map_each
from concurrency.conf import conf


def settings_for(backend: str, location: str = "", **options: object) -> dict[str, object]:
    """Return CACHES with one backend."""
    return {"default": {"BACKEND": backend, "LOCATION": location, "OPTIONS": options}}


@pytest.fixture
def use():
    """Use other caches for a test, shared as they are in an application."""
    changes = []

    def change(caches_setting):
        override = override_settings(CACHES=caches_setting)
        override.enable()
        changes.append(override)
        shared.share_clients()

    yield change
    for override in changes:
        override.disable()
    shared.share_clients()


@pytest.fixture
def client(redis):
    """A connection of our own, which is not counted."""
    import redis as library

    with library.Redis(port=redis.port) as made:
        made.ping()
        yield made


def connections(client) -> int:
    return len(client.client_list()) - 1


@pytest.mark.slow
@pytest.mark.redis
def test_a_thousand_children_share_a_handful_of_connections(use, redis, client):
    """A thousand greenlets that use the cache at once open ten connections at most."""
    use(settings_for("django.core.cache.backends.redis.RedisCache", redis.url))
    most = 0
    counting = RLock()  # two who count at once would do it on a connection more

    def child(number):
        nonlocal most
        cache.set(f"key-{number}", number)
        if number % 100 == 0:
            with counting:
                most = max(most, connections(client))
        return cache.get(f"key-{number}")

    assert map_each(child, range(1000), limit=None) == list(range(1000))
    assert 1 <= most <= conf.CACHE_MAX_CONNECTIONS
    caches["default"]._cache.get_client(write=True).connection_pool.disconnect()


@pytest.mark.redis
def test_the_users_own_pool_class_is_kept(use, redis):
    """Who chooses a pool has a reason."""
    options = {"pool_class": "redis.ConnectionPool", "max_connections": 3}
    use(settings_for("django.core.cache.backends.redis.RedisCache", redis.url, **options))
    cache.set("a", 1)
    pool = caches["default"]._cache.get_client(write=True).connection_pool
    assert type(pool).__name__ == "ConnectionPool"
    assert pool.max_connections == 3
    pool.disconnect()


def test_greenlets_see_the_same_backend(use):
    """One backend for a process, not one for each greenlet."""
    use(settings_for("django.core.cache.backends.locmem.LocMemCache"))
    backends = map_each(lambda _: caches["default"], range(5), limit=None)
    assert {id(backend) for backend in backends} == {id(caches["default"])}


def test_a_backend_that_is_not_safe_to_share_is_not_shared(use, monkeypatch):
    """pylibmc's client belongs to one greenlet at a time."""
    name = "django.core.cache.backends.locmem.LocMemCache"
    monkeypatch.setattr(shared, "_UNSHARED", frozenset({name}))
    use(settings_for(name))
    backends = map_each(lambda _: caches["default"], range(5), limit=None)
    assert len({id(backend) for backend in backends}) == 5


def test_the_end_of_a_request_leaves_shared_clients_open(use):
    """Others are using them at that time."""
    use(settings_for("django.core.cache.backends.locmem.LocMemCache"))
    closed = []
    caches["default"].close = lambda: closed.append(True)
    signals.request_finished.send(sender=None)
    assert not closed


def test_the_end_of_a_request_closes_the_others(use, monkeypatch):
    """As Django does."""
    name = "django.core.cache.backends.locmem.LocMemCache"
    monkeypatch.setattr(shared, "_UNSHARED", frozenset({name}))
    use(settings_for(name))
    closed = []
    caches["default"].close = lambda: closed.append(True)
    signals.request_finished.send(sender=None)
    assert closed == [True]


def test_an_alias_can_be_deleted_and_is_made_anew(use):
    """What Django's handler allows is allowed."""
    use(settings_for("django.core.cache.backends.locmem.LocMemCache"))
    first = caches["default"]
    del caches["default"]
    assert caches["default"] is not first
