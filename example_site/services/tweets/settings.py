"""The service that keeps tweets."""

from __future__ import annotations

PORT = 8030
INSTALLED_APPS = [
    "django.contrib.staticfiles",
    "example_site.pages",
    "example_site.apps.tweets",
]
MIDDLEWARE = ["whitenoise.middleware.WhiteNoiseMiddleware"]
LOGICAL_DATABASES = ["tweets"]
