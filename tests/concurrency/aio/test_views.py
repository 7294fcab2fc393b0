"""Asynchronous views and middleware in a synchronous handler, beside ours."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import gevent
import pytest
from asgiref.sync import markcoroutinefunction, sync_to_async
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import RequestFactory, override_settings
from django.urls import path
from django.utils.decorators import async_only_middleware, sync_only_middleware

from concurrency.aio import run
from concurrency.db import pool_statistics
from tests.concurrency.aio.phases import PHASES, Phases, check_ended
from tests.concurrency.db.conftest import query
from tests.helpers import until

BACKEND = "SELECT pg_backend_pid()"


@async_only_middleware
def asynchronous(
    get_response: Callable[[HttpRequest], Awaitable[HttpResponse]],
) -> Callable[[HttpRequest], Awaitable[HttpResponse]]:
    """Ask the database before and after, asynchronously."""

    async def middleware(request: HttpRequest) -> HttpResponse:
        request.backends = getattr(request, "backends", [])
        request.backends.append(await sync_to_async(query)(BACKEND))
        response = await get_response(request)
        await asyncio.sleep(0)
        if response.streaming:
            return response
        request.backends.append(await sync_to_async(query)(BACKEND))
        response.content = " ".join(map(str, request.backends))
        return response

    return middleware


@sync_only_middleware
def synchronous(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Ask the database."""

    def middleware(request: HttpRequest) -> HttpResponse:
        request.backends.append(query(BACKEND))
        return get_response(request)

    return middleware


async def view(request: HttpRequest) -> HttpResponse:
    """Ask the database, through borders in both directions."""

    async def inner() -> int:
        return await sync_to_async(query)(BACKEND)

    request.backends.append(await inner())
    request.backends.append(await sync_to_async(run)(inner))
    return HttpResponse()


async def slow(request: HttpRequest) -> HttpResponse:
    """Take longer than a request may."""
    await asyncio.sleep(30)
    return HttpResponse()


class Phased:
    """A view that waits for too long, in one of the ways in which a view can."""

    phases: Phases

    async def __call__(self, request: HttpRequest, phase: str) -> HttpResponse:
        """Wait."""
        await getattr(self.phases, phase)()
        return HttpResponse()


phased = markcoroutinefunction(Phased())


async def generated(request: HttpRequest) -> StreamingHttpResponse:
    """Answer by a generator that is not asynchronous, but runs coroutines."""
    first = await sync_to_async(query)(BACKEND)

    def pieces() -> Iterator[str]:
        yield f"{first} {query(BACKEND)} "
        yield f"{run(sync_to_async(query), BACKEND)}"

    return StreamingHttpResponse(pieces())


urlpatterns = [
    path("view/", view),
    path("slow/", slow),
    path("phased/<phase>/", phased),
    path("generated/", generated),
]


@pytest.fixture(autouse=True)
def site() -> Iterator[None]:
    """A chain of middleware that changes between the two kinds."""
    chain = ["concurrency.middleware.ConcurrencyMiddleware"]
    chain += [f"{__name__}.{name}" for name in ("asynchronous", "synchronous", "asynchronous")]
    with override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=chain):
        yield


def get(address: str, **headers: str) -> tuple[str, bytes]:
    """Return status and body of an answer, as a server would get it."""
    request = RequestFactory(headers=headers).get(address)
    status = []
    handler = get_wsgi_application()
    response = handler(request.environ, lambda line, headers: status.append(line))
    body = b"".join(response)
    response.close()
    return status[0], body


def test_a_request_has_one_connection_through_all_of_it():
    """Middleware and views of both kinds ask on the request's one connection."""
    requests = [gevent.spawn(get, "/view/") for _ in range(4)]
    gevent.joinall(requests, raise_error=True)
    for request in requests:
        status, body = request.value
        assert status == "200 OK"
        assert len(body.split()) == 7
        assert len(set(body.split())) == 1


def test_a_request_that_takes_too_long_is_answered():
    """The deadline of a request ends its asynchronous view through all middleware."""
    status, body = get("/slow/", **{"X-Request-Timeout-Ms": "50"})
    assert status.startswith("504")
    assert b"deadline of 0.05 s exceeded" in body


@pytest.fixture
def phases() -> Iterator[Phases]:
    """What the view that waits for too long does."""
    phased.phases = Phases()
    yield phased.phases
    until(lambda: pool_statistics()["default"].in_use == 0)


@pytest.mark.parametrize("phase", PHASES)
def test_a_deadline_ends_a_view_in_each_of_its_phases(phases: Phases, phase: str):
    """A request over its time is answered 504, when its view has cleaned up."""
    query()  # not to be waited for within the deadline
    status, _ = get(f"/phased/{phase}/", **{"X-Request-Timeout-Ms": "1000"})
    assert status.startswith("504")
    check_ended(phases, phase)


@pytest.mark.parametrize("phase", PHASES)
def test_a_kill_ends_a_view_in_each_of_its_phases(phases: Phases, phase: str):
    """A killed request ends when its view has cleaned up, and gives its connection back."""
    request = gevent.spawn(get, f"/phased/{phase}/")
    assert phases.reached.wait(5)
    gevent.sleep(0.002)
    request.kill(timeout=5)
    assert isinstance(request.value, gevent.GreenletExit)
    check_ended(phases, phase)


def test_a_generator_view():
    """A generator that an asynchronous view returns runs on the request's connection."""
    status, body = get("/generated/")
    assert status == "200 OK"
    assert len(body.split()) == 3
    assert len(set(body.split())) == 1
