"""Requests are counted for each address or account, right also when many come at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.core.cache import cache, caches
from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache
from django.test import override_settings
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory, force_authenticate
from rest_framework.views import APIView

from concurrency import map_each
from concurrency.caches import share_clients
from example_site import limits
from example_site.apps.tweets import throttling
from settings.caches import from_url
from settings.environment import SettingsError
from tests.redis import Redis

LIMIT = 3


class View(APIView):
    """A view of DRF that only counts."""

    authentication_classes = ()
    throttle_classes = (throttling.PerMinute,)

    def get(self, request: Any) -> Any:
        """Answer nothing, with 204."""
        return Response(status=204)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Give the seconds that the counter takes for the time; the limits are low, all counts new."""
    now = [6000.0]
    monkeypatch.setattr(limits, "time", lambda: now[0])
    given = {"THROTTLE_ANONYMOUS": LIMIT, "THROTTLE_ACCOUNT": LIMIT + 2, "TRUSTED_PROXIES": 0}
    with override_settings(**given, CACHES={"default": from_url("")}):
        share_clients()
        cache.clear()
        yield now
    share_clients()


def ask(address: str = "192.0.2.1", account: User | None = None, **headers: str) -> Any:
    """Return the view's answer to somebody."""
    request = APIRequestFactory().get("/", REMOTE_ADDR=address, headers=headers)
    force_authenticate(request, user=account or AnonymousUser())
    return View.as_view()(request)


def statuses(count: int, **who: Any) -> list[int]:
    """Return the statuses of the answers to so many requests."""
    return [ask(**who).status_code for _ in range(count)]


def test_one_too_many_in_a_minute(clock: list[float]) -> None:
    """What is over the limit is a 429 that says how many seconds are left; then it is over."""
    clock[0] += 18
    assert statuses(LIMIT) == [204] * LIMIT
    answer = ask()
    assert answer.status_code == 429
    assert answer["Retry-After"] == "42"
    assert answer.data == {
        "detail": "Request was throttled. Expected available in 42 seconds.",
    }
    clock[0] += 42
    assert statuses(1) == [204]


def test_each_is_counted_apart(clock: list[float]) -> None:
    """Another address, and an account at the same one, have counts of their own."""
    assert statuses(LIMIT + 1)[-1] == 429
    assert statuses(1, address="192.0.2.2") == [204]
    writer = User(pk=7)
    assert statuses(LIMIT + 3, account=writer) == [204] * (LIMIT + 2) + [429]
    assert statuses(1, account=User(pk=8)) == [204]


def test_no_limit(clock: list[float]) -> None:
    """With 0, nothing is counted."""
    with override_settings(THROTTLE_ANONYMOUS=0):
        assert statuses(LIMIT + 1) == [204] * (LIMIT + 1)


@pytest.mark.parametrize(
    ("proxies", "header", "counted"),
    [
        (0, "198.51.100.1", "192.0.2.1"),
        (1, "198.51.100.1", "198.51.100.1"),
        (1, "made up, 198.51.100.1", "198.51.100.1"),
        (2, "made up, 198.51.100.1, 10.0.0.1", "198.51.100.1"),
        (1, "", "192.0.2.1"),
        (5, "198.51.100.1", "198.51.100.1"),
    ],
)
def test_whose_word_counts(clock: list[float], proxies: int, header: str, counted: str) -> None:
    """Of X-Forwarded-For, only what our own proxies have added is believed."""
    with override_settings(TRUSTED_PROXIES=proxies):
        ask(**{"X-Forwarded-For": header})
    with override_settings(TRUSTED_PROXIES=0):
        assert statuses(LIMIT, address=counted)[-1] == 429


class Elsewhere(LocMemCache):
    """A cache that lets others run before each step, as one behind a socket does."""

    def add(self, *args: Any, **kwargs: Any) -> Any:
        gevent.sleep(0)
        return super().add(*args, **kwargs)

    def get(self, *args: Any, **kwargs: Any) -> Any:
        gevent.sleep(0)
        return super().get(*args, **kwargs)

    def set(self, *args: Any, **kwargs: Any) -> Any:
        gevent.sleep(0)
        return super().set(*args, **kwargs)

    def incr(self, *args: Any, **kwargs: Any) -> Any:
        gevent.sleep(0)
        return super().incr(*args, **kwargs)


def crowd() -> list[int]:
    """Return the statuses of fifty requests at the same time, in order of size."""
    share_clients()
    return sorted(map_each(lambda _: ask().status_code, range(50), limit=None))


def test_a_crowd_gets_no_more(clock: list[float]) -> None:
    """Of fifty greenlets that ask at the same time, exactly as many as allowed get through."""
    backend = f"{__name__}.{Elsewhere.__name__}"
    with override_settings(CACHES={"default": {"BACKEND": backend}}):
        assert crowd() == [204] * LIMIT + [429] * (50 - LIMIT)


@pytest.mark.slow
@pytest.mark.redis
def test_a_crowd_counted_by_redis(clock: list[float], redis: Redis) -> None:
    """The same is so with a real Redis, at the address that the settings are given."""
    with override_settings(CACHES={"default": from_url(redis.url)}):
        assert crowd() == [204] * LIMIT + [429] * (50 - LIMIT)
        assert isinstance(caches["default"], RedisCache)
        caches["default"]._cache.get_client(write=True).connection_pool.disconnect()


def test_a_cache_that_is_not_there() -> None:
    """A cache that cannot count in one step is refused."""
    with pytest.raises(SettingsError, match=r"^CACHE_URL is not like redis://"):
        from_url("memcache://127.0.0.1:11211")
