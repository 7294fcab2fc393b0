"""What Django's backend of PostgreSQL does not promise; it needs a driver to be imported."""

from __future__ import annotations

from concurrency.compat.names import Names

__all__ = ["NAMES"]

NAMES = Names(
    "Django",
    "django.db.backends.postgresql.base:DatabaseWrapper._configure_timezone(self, connection)",
)
