"""`ATOMIC_REQUESTS` for asynchronous views."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from asgiref.sync import sync_to_async
from django.core.exceptions import PermissionDenied
from django.core.wsgi import get_wsgi_application
from django.db import connection, connections, transaction
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory, override_settings
from django.urls import path
from django.views import View

from concurrency.aio import atomic
from tests.concurrency.aio.kinds import Kind

is_atomic = sync_to_async(lambda: connection.in_atomic_block)


async def writing(request: HttpRequest, outcome: str) -> HttpResponse:
    """Write a row, and fail if that is asked for."""
    await Kind.objects.acreate(app_label="aio", model=outcome)
    if outcome == "fails":
        raise PermissionDenied(outcome)
    return HttpResponse(f"{await is_atomic()}")


@transaction.non_atomic_requests
async def exempt(request: HttpRequest) -> HttpResponse:
    """Tell whether this is in a transaction."""
    return HttpResponse(f"{await is_atomic()}")


class Telling(View):
    """A view that is a class."""

    async def get(self, request: HttpRequest) -> HttpResponse:
        """Tell whether this is in a transaction."""
        return HttpResponse(f"{await is_atomic()}")


urlpatterns = [
    path("exempt/", exempt),
    path("class/", Telling.as_view()),
    path("<outcome>/", writing),
]


@pytest.fixture(autouse=True)
def table() -> Iterator[None]:
    """A table, and requests that are transactions."""
    with connection.schema_editor() as editor:
        editor.create_model(Kind)
    connection.close()
    settings = connections.settings["default"]
    settings["ATOMIC_REQUESTS"] = True
    with override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=[]):
        yield
    settings["ATOMIC_REQUESTS"] = False
    with connection.schema_editor() as editor:
        editor.delete_model(Kind)
    connection.close()


def get(address: str) -> bytes:
    """Return the body of an answer, as a server would get it."""
    request = RequestFactory().get(address)
    response = get_wsgi_application()(request.environ, lambda status, headers: None)
    return b"".join(response)


def test_an_asynchronous_view_is_in_a_transaction():
    """What an async view writes is committed when it succeeds, and undone when it fails."""
    assert get("/succeeds/") == b"True"
    assert b"403" in get("/fails/")
    assert [row.model for row in Kind.objects.all()] == ["succeeds"]


def test_a_class_based_view_is_in_a_transaction():
    """An async view that is a class is in a transaction too."""
    assert get("/class/") == b"True"


def test_an_exempt_view_is_not():
    """non_atomic_requests holds for async views."""
    assert get("/exempt/") == b"False"


def test_installing_it_twice_changes_nothing():
    """install() may be called again."""
    before = atomic.BaseHandler.make_view_atomic
    atomic.install()
    assert atomic.BaseHandler.make_view_atomic is before
