"""An application that says what it got; a WSGI module for gunicorn."""

from __future__ import annotations

import concurrency.patch  # noqa: F401 - before Django is imported

# isort: split

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import re_path
from django.views.decorators.csrf import csrf_exempt

if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["*"],
        SECRET_KEY="of a test",
        ROOT_URLCONF=__name__,
        INSTALLED_APPS=["concurrency"],
        MIDDLEWARE=["concurrency.middleware.ConcurrencyMiddleware"],
    )


@csrf_exempt
def echo(request: HttpRequest) -> HttpResponse:
    """Answer with method, path and body."""
    path = request.META["RAW_URI"].partition("?")[0]
    body = f"<{request.method} {path} ".encode() + request.body + b">"
    return HttpResponse(body, headers={"Content-Length": str(len(body))})


urlpatterns = [re_path("", echo)]


def load() -> object:
    """Return the application; called when gunicorn loads it."""
    from django.core.wsgi import get_wsgi_application

    return get_wsgi_application()


application = load()
