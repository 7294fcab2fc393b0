"""Views for a real server: asynchronous ones beside those that are not."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator

import httpx
from asgiref.sync import async_to_sync, sync_to_async
from django.db import connection, models
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path

from concurrency.db import pool_statistics

logger = logging.getLogger("concurrency.test")

# One for all clients: to make one takes longer than to ask.
CONTEXT = ssl.create_default_context()


class Number(models.Model):
    """A row of the table that the test makes."""

    value = models.IntegerField()

    class Meta:
        app_label = "concurrency"
        managed = False
        db_table = "aio_number"


async def mixed(request: HttpRequest, value: int) -> JsonResponse:
    """Ask the database, this server, and the database through two borders."""

    def inner() -> int:
        return async_to_sync(Number.objects.filter(value=value).acount)()

    found = await Number.objects.aget(value=value)
    async with httpx.AsyncClient(verify=CONTEXT, timeout=60) as client:
        url = f"http://127.0.0.1:{request.META['SERVER_PORT']}/direct/{value}/"
        answer, count = await asyncio.gather(client.get(url), sync_to_async(inner)())
    values = [number.value async for number in Number.objects.filter(value=value)]
    return JsonResponse([found.value, answer.json(), count, *values], safe=False)


def direct(request: HttpRequest, value: int) -> JsonResponse:
    """Ask the database."""
    return JsonResponse(Number.objects.get(value=value).value, safe=False)


async def sleeping(request: HttpRequest) -> HttpResponse:
    """Wait in the database for longer than a request may take."""
    try:
        await sync_to_async(_sleep)()
    finally:
        logger.info("cleaned up")
    return HttpResponse("slept")


def _sleep() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(60)")


async def _pieces() -> AsyncIterator[str]:
    async for number in Number.objects.order_by("value")[:3]:
        await asyncio.sleep(0.001)
        yield f"{number.value} "


async def streamed(request: HttpRequest) -> StreamingHttpResponse:
    """Send numbers as they come."""
    return StreamingHttpResponse(_pieces())


def state(request: HttpRequest) -> JsonResponse:
    """Tell what is in use."""
    numbers = pool_statistics()["default"]
    running = asyncio._get_running_loop() is not None
    return JsonResponse([numbers.in_use, numbers.timeouts, running], safe=False)


urlpatterns = [
    path("mixed/<int:value>/", mixed),
    path("direct/<int:value>/", direct),
    path("sleeping/", sleeping),
    path("streamed/", streamed),
    path("state/", state),
]
