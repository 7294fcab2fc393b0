"""A server that strangers reach: HTTPS, no defaults that everybody knows, nothing optional.

`python manage.py check --deploy` has nothing to say about it.
"""

from __future__ import annotations

import os

from settings import environment
from settings.base import *  # noqa: F403 - all of them, to change some
from settings.base import (
    ALLOWED_HOSTS,
    CONCURRENCY,
    DATABASES,
    DEBUG,
    DEMO_PASSWORD,
    DEMO_USER,
    INSTALLED_APPS,
    LOGICAL_DATABASES,
    SECRET_KEY,
    SERVICE_TOKEN_KEYS,
)

LEAST_KEY_LENGTH = 50  # what Django's own check asks for
KNOWN = "is the default that everybody knows"

_complaints = environment.Complaints()
_complaints.require("SECRET_KEY")
_complaints.refuse(
    not all(DATABASES.get(name) for name in LOGICAL_DATABASES), "DATABASE_URL", "is missing"
)
_complaints.require("ALLOWED_HOSTS")
_complaints.refuse(
    len(SECRET_KEY) < LEAST_KEY_LENGTH or len(set(SECRET_KEY)) < 5,
    "SECRET_KEY",
    f"is shorter than {LEAST_KEY_LENGTH} characters or repeats a few",
)
_complaints.refuse(
    SECRET_KEY.startswith("django-insecure-"),
    "SECRET_KEY",
    "is one that Django generated for development",
)
_complaints.refuse("*" in ALLOWED_HOSTS, "ALLOWED_HOSTS", "has *, which lets any name pass")
_complaints.refuse(DEBUG, "DEBUG", "is on, which shows strangers the insides")
if "example_site.apps.slowsql" in INSTALLED_APPS:
    _complaints.require("DEMO_USER", "DEMO_PASSWORD", "DEMO_BASE_URL")
    _complaints.refuse(DEMO_USER == "user", "DEMO_USER", KNOWN)
    _complaints.refuse(DEMO_PASSWORD == "password", "DEMO_PASSWORD", KNOWN)  # noqa: S105 - refused

SERVICE_TOKENS_REQUIRED = environment.flag("SERVICE_TOKENS_REQUIRED", default=True)
_complaints.refuse(
    SERVICE_TOKENS_REQUIRED and not SERVICE_TOKEN_KEYS, "SERVICE_TOKEN_KEYS", "is missing"
)
_complaints.check()

CONCURRENCY = {
    **CONCURRENCY,
    "BIND": environment.text("BIND_HOST", default="0.0.0.0"),  # noqa: S104 - strangers reach it
    "WORKERS": environment.integer("WEB_CONCURRENCY", os.cpu_count() or 1, least=1),
}

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
