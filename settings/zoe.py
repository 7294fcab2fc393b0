"""An example of a personal settings file: copy it, name it after yourself, change what you like.

`ENVIRONMENT=settings.zoe` picks it. What only you need installed goes into `requirements-zoe.txt`.
"""

from __future__ import annotations

from settings.development import *  # noqa: F403 - all of them, to change some
from settings.development import LOGGING

# Zoe likes to see each SQL statement (Django logs them only with DEBUG=true).
LOGGING = {
    **LOGGING,
    "loggers": {**LOGGING["loggers"], "django.db.backends": {"level": "DEBUG"}},
}
