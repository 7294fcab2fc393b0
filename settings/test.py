"""The test suite: nothing of a developer's `.env` changes its outcome, but for the database."""

from __future__ import annotations

from settings import environment
from settings.base import *  # noqa: F403 - all of them, to change some
from settings.base import INSTALLED_APPS

environment.require("DATABASE_URL")

SECRET_KEY = "for tests only, and long enough for every check of Django"  # noqa: S105
DEBUG = False
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
DEMO_USER = "user"
DEMO_PASSWORD = "password"  # noqa: S105 - known to everybody

# The apps of all services in one process, on one database: the services themselves are tested as
# processes of their own.
INSTALLED_APPS = [
    *INSTALLED_APPS,
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "rest_framework.authtoken",
    "example_site.apps.person",
    "example_site.apps.greet",
    "example_site.apps.translate",
    "example_site.apps.tweets",
]
DATABASE_ROUTERS = []

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # fast, guards nothing here
