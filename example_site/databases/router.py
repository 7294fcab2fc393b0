"""Sends an app's queries and tables to the logical database that it is mapped to."""

from __future__ import annotations

from typing import Any

from django.conf import settings

__all__ = ["AppRouter", "database_of"]


def database_of(app_label: str) -> str | None:
    """Return the alias of the logical database of an app; None for one that is not mapped."""
    return settings.APP_DATABASES.get(app_label)


class AppRouter:
    """The database router of all services.

    About an app that is not mapped it says nothing, so that a query of it ends where
    Django would send it; a system check reports it. Relations are left to Django, which
    refuses those between databases.
    """

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        """Return the alias that a model is read from."""
        return database_of(model._meta.app_label)

    def db_for_write(self, model: Any, **hints: Any) -> str | None:
        """Return the alias that a model is written to."""
        return database_of(model._meta.app_label)

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        """Allow tables of an app in its own database and nowhere else."""
        return database_of(app_label) == db
