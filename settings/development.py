"""A developer's machine: PostgreSQL out of the wheel unless DATABASE_URL names another."""

from __future__ import annotations

from settings import databases, environment
from settings.base import *  # noqa: F403 - all of them, to change some
from settings.base import (
    DEFAULT_DATABASE,
    LOGICAL_DATABASES,
    MIDDLEWARE,
    PUBLIC_URLS,
    SERVICE_URLS,
)

environment.require("SECRET_KEY")

DATABASES = databases.of_service(LOGICAL_DATABASES, DEFAULT_DATABASE, local=True)

ALLOWED_HOSTS = environment.names("ALLOWED_HOSTS", default=("localhost", "127.0.0.1", "[::1]"))

DEVELOPMENT = True
# On one machine services and people find each other at the same addresses.
PUBLIC_URLS = {name: url or SERVICE_URLS[name] for name, url in PUBLIC_URLS.items()}

# Seconds that every answer takes longer, to see what waits for what.
DEVELOPMENT_DELAY = environment.number("DEVELOPMENT_DELAY", 0.0)
if DEVELOPMENT_DELAY:
    MIDDLEWARE = [MIDDLEWARE[0], "example_site.delay.DelayMiddleware", *MIDDLEWARE[1:]]

# Static files are served from where they are written, also with DEBUG off: nothing is collected.
WHITENOISE_AUTOREFRESH = True
WHITENOISE_USE_FINDERS = True
