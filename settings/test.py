"""The test suite: nothing of a developer's `.env` changes its outcome, but for the database."""

from __future__ import annotations

from settings.base import *  # noqa: F403 - all of them, to change some
from settings.base import environment

environment.require("DATABASE_URL")

SECRET_KEY = "for tests only, and long enough for every check of Django"  # noqa: S105
DEBUG = False
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
DEMO_USER = "user"
DEMO_PASSWORD = "password"  # noqa: S105 - known to everybody

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # fast, guards nothing here

WHITENOISE_AUTOREFRESH = True
WHITENOISE_USE_FINDERS = True
