"""A server that strangers reach: HTTPS, no defaults that everybody knows, nothing optional.

`python manage.py check --deploy` has nothing to say about it.
"""

from __future__ import annotations

import os

from settings.base import *  # noqa: F403 - all of them, to change some
from settings.base import (
    CONCURRENCY,
    DATABASES,
    DEBUG,
    DEMO_PASSWORD,
    DEMO_USER,
    INSTALLED_APPS,
    LOGICAL_DATABASES,
    SECRET_KEY,
    environment,
    tokens,
)

LEAST_KEY_LENGTH = 50  # what Django's own check asks for

environment.require("SECRET_KEY")
if not all(DATABASES.get(name) for name in LOGICAL_DATABASES):
    raise environment.SettingsError("DATABASE_URL", "is missing")
environment.require("ALLOWED_HOSTS")

if len(SECRET_KEY) < LEAST_KEY_LENGTH or len(set(SECRET_KEY)) < 5:
    raise environment.SettingsError(
        "SECRET_KEY", f"is shorter than {LEAST_KEY_LENGTH} characters or repeats a few"
    )
if SECRET_KEY.startswith("django-insecure-"):
    raise environment.SettingsError("SECRET_KEY", "is one that Django generated for development")
if DEBUG:
    raise environment.SettingsError("DEBUG", "is on, which shows strangers the insides")
if "example_site.apps.slowsql" in INSTALLED_APPS:
    environment.require("DEMO_USER", "DEMO_PASSWORD", "DEMO_BASE_URL")
    if DEMO_USER == "user":
        raise environment.SettingsError("DEMO_USER", "is the default that everybody knows")
    if DEMO_PASSWORD == "password":  # noqa: S105 - refused, not used
        raise environment.SettingsError("DEMO_PASSWORD", "is the default that everybody knows")

CONCURRENCY = {
    **CONCURRENCY,
    "BIND": environment.text("BIND_HOST", default="0.0.0.0"),  # noqa: S104 - strangers reach it
    "WORKERS": environment.integer("WEB_CONCURRENCY", os.cpu_count() or 1, least=1),
}

SERVICE_TOKENS_REQUIRED = environment.flag("SERVICE_TOKENS_REQUIRED", default=True)
SERVICE_TOKEN_KEYS = tokens.keys(required=SERVICE_TOKENS_REQUIRED)

SECURE_SSL_REDIRECT = environment.flag("SECURE_SSL_REDIRECT", default=True)
# An hour: a mistake with it cannot be called back sooner. Raise it to a year when all is well.
SECURE_HSTS_SECONDS = environment.integer("SECURE_HSTS_SECONDS", 3600)
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True

# Only behind a proxy that sets this header itself and drops what a client sent.
_proxy_header = environment.text("SECURE_PROXY_SSL_HEADER", default="")
if _proxy_header:
    SECURE_PROXY_SSL_HEADER = (f"HTTP_{_proxy_header.upper().replace('-', '_')}", "https")
