"""The site of all Django peers: each view once as it is, and once with ``async``.

PEER_WORLD says how its views wait for ten requests at once, and whether they are asynchronous.
"""

from __future__ import annotations

import os

WORLD = os.environ["PEER_WORLD"]
if WORLD == "ours":
    import concurrency.patch  # noqa: F401 - the first line of a wsgi.py

# isort: split

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import Any

from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application

# Sets Django up, which the model needs.
wsgi = get_wsgi_application()
asgi = get_asgi_application()

from django.contrib.contenttypes.models import ContentType
from django.db.models import Func, QuerySet, TextField, Value
from django.http import HttpRequest, HttpResponse
from django.urls import path

from bench.peers.works import SLEEP, compute

__all__ = ["asgi", "urlpatterns", "wsgi"]

UPSTREAM = os.environ.get("PEER_UPSTREAM", "")
TEN = range(10)


def short() -> QuerySet[ContentType]:
    """Return a query of a millisecond."""
    return ContentType.objects.filter(model="lease")


def slow() -> QuerySet[ContentType]:
    """Return a query that sleeps in the database."""
    asleep = Func(Value(SLEEP), function="pg_sleep", output_field=TextField())
    return short().annotate(asleep=asleep)


# Without async


def _nothing(request: HttpRequest) -> HttpResponse:
    return HttpResponse("nothing")


def _one(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(int(short().first() is not None)))


def _three(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(sum(short().first() is not None for _ in range(3))))


def _slow(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(int(slow().first() is not None)))


def _ten(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(sum(_at_once()(_fetch, TEN))))


def _compute(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(compute()))


def _fetch(_: int) -> bool:
    answer = _session().get(UPSTREAM, timeout=10)
    return answer.status_code == 200 and answer.text == "slow"


@cache
def _session() -> Any:
    if WORLD == "ours":
        from concurrency.http import Session

        return Session()
    import requests
    from requests.adapters import HTTPAdapter

    session = requests.Session()
    session.mount("http://", HTTPAdapter(pool_maxsize=100))
    return session


@cache
def _at_once() -> Callable[[Callable[[int], bool], Iterable[int]], Iterable[bool]]:
    if WORLD == "ours":
        from concurrency import map_each

        return partial(map_each, limit=len(TEN))
    if WORLD == "gevent":
        return _with_gevent
    return ThreadPoolExecutor(100).map


def _with_gevent(function: Callable[[int], bool], items: Iterable[int]) -> Iterable[bool]:
    import gevent

    jobs = [gevent.spawn(function, item) for item in items]
    return [job.get() for job in gevent.joinall(jobs, raise_error=True)]


# With async


async def _async_nothing(request: HttpRequest) -> HttpResponse:
    return HttpResponse("nothing")


async def _async_one(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(int(await short().afirst() is not None)))


async def _async_three(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(sum([await short().afirst() is not None for _ in range(3)])))


async def _async_slow(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(int(await slow().afirst() is not None)))


async def _async_ten(request: HttpRequest) -> HttpResponse:
    from bench.peers.fetching import ten

    return HttpResponse(str(await ten(UPSTREAM)))


_plain = (_nothing, _one, _three, _slow, _ten)
_async = (_async_nothing, _async_one, _async_three, _async_slow, _async_ten)
urlpatterns = [
    # Not asynchronous anywhere: Django gives it a thread under an asynchronous server.
    path("compute/", _compute),
    *(
        path(f"{name}/", view)
        for name, view in zip(
            ("nothing", "one", "three", "slow", "ten"),
            _async if WORLD == "async" else _plain,
            strict=True,
        )
    ),
]
