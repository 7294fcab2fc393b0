"""The Django application of ``bench.http_soak``: numbers from a database, bodies, streams."""

from __future__ import annotations

import concurrency.patch  # noqa: F401 - importing it is what patches

# isort: split

import hashlib
import os
from collections.abc import Iterator

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import connection
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path
from environ import Env

__all__ = ["application"]


def square(request: HttpRequest, number: int) -> HttpResponse:
    """Answer with a number's square, which the database computes."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s * %s", [number, number])
        return HttpResponse(str(cursor.fetchone()[0]))


def digest(request: HttpRequest) -> HttpResponse:
    """Answer with the length and the hash of the body."""
    body = request.body
    return HttpResponse(f"{len(body)} {hashlib.sha256(body).hexdigest()}")


def stream(request: HttpRequest, lines: int) -> StreamingHttpResponse:
    """Answer with numbered lines of 64 bytes, one by one."""

    def produce() -> Iterator[str]:
        for number in range(lines):
            yield f"{number:063}\n"

    return StreamingHttpResponse(produce(), content_type="text/plain")


urlpatterns = [
    path("square/<int:number>/", square),
    path("digest/", digest),
    path("stream/<int:lines>/", stream),
]

_database = Env.db_url_config(os.environ["DATABASE_URL"])
_database["ENGINE"] = "concurrency.db.backends.postgresql"
_database["OPTIONS"] = {"pool": {"max_size": 10}}
settings.configure(
    ROOT_URLCONF=__name__,
    SECRET_KEY="only for measuring",  # noqa: S106 - protects nothing
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=["concurrency"],
    MIDDLEWARE=[
        "concurrency.middleware.ConcurrencyMiddleware",
        "django.middleware.common.CommonMiddleware",
    ],
    DATABASES={"default": _database},
    CONCURRENCY={"SHED_AFTER": 3600.0},  # the clients never pause
    DATA_UPLOAD_MAX_MEMORY_SIZE=None,
    USE_TZ=True,
)
application = get_wsgi_application()
