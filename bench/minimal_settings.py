"""Settings of the application with which the server is measured: no database, one middleware."""

from __future__ import annotations

ROOT_URLCONF = "bench.minimal"
SECRET_KEY = "only for measuring"  # noqa: S105 - protects nothing
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["concurrency"]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
