"""A Django project in one file, with one view written twice: with ``async`` and without.

Served by gunicorn with our patch and pool, or by uvicorn with Django's own pool: the
variable AIO_SERVER says which. Each view asks the database three times.
"""

from __future__ import annotations

import os

SERVER = os.environ.get("AIO_SERVER", "gunicorn")
if SERVER == "gunicorn":
    import concurrency.patch  # noqa: F401

# isort: split

from contextlib import AsyncExitStack

import django
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import path
from environ import Env

__all__ = ["asgi", "urlpatterns", "wsgi"]

POOL = {"max_size": 20, "timeout": 60.0}
OURS = "concurrency.db.backends.postgresql"
STOCK = "django.db.backends.postgresql"

database = Env.db_url_config(os.environ["DATABASE_URL"])
if SERVER == "gunicorn":
    database |= {"ENGINE": OURS, "CONN_MAX_AGE": 0, "OPTIONS": {"pool": POOL}}
elif SERVER == "uvicorn":
    database |= {"ENGINE": STOCK, "CONN_MAX_AGE": 0, "OPTIONS": {"pool": POOL}}
else:  # one thread for all requests needs one connection
    database |= {"ENGINE": STOCK, "CONN_MAX_AGE": None}

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    DATABASES={"default": database},
    INSTALLED_APPS=["django.contrib.contenttypes"],
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.middleware.common.CommonMiddleware",
    ],
    ROOT_URLCONF=__name__,
    SECRET_KEY="for measurements alone",  # noqa: S106 - it guards nothing
    USE_TZ=True,
)
django.setup()

from django.contrib.contenttypes.models import ContentType
from django.core.handlers import asgi as handlers
from django.core.wsgi import get_wsgi_application


async def awaited(request: HttpRequest) -> HttpResponse:
    """Ask three times, with ``await``."""
    found = [await ContentType.objects.filter(model="lease").afirst() for _ in range(3)]
    return HttpResponse(str(len(found)))


def direct(request: HttpRequest) -> HttpResponse:
    """Ask three times."""
    found = [ContentType.objects.filter(model="lease").first() for _ in range(3)]
    return HttpResponse(str(len(found)))


urlpatterns = [path("awaited/", awaited), path("direct/", direct)]

if SERVER == "uvicorn-one-thread":
    # Django gives each request a thread of its own; without it, all share one.
    handlers.ThreadSensitiveContext = AsyncExitStack
wsgi = get_wsgi_application()
asgi = handlers.ASGIHandler()
