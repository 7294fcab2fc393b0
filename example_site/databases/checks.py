"""System checks of the logical databases: what would silently be stored nowhere.

``example_site.E001`` an app with models is not mapped, ``E002`` a relation leads from
one database into another, ``E003`` the service lacks a database that an app of it needs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.db.models import Field

from example_site.databases.router import AppRouter, database_of

__all__ = ["check_databases"]

ROUTER = f"{AppRouter.__module__}.{AppRouter.__qualname__}"


def check_databases(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """Is every table of this service's apps in a database that the service has?"""
    if ROUTER not in settings.DATABASE_ROUTERS:
        return []
    found: list[CheckMessage] = []
    for config in app_configs or apps.get_app_configs():
        if not any(config.get_models()):
            continue
        database = database_of(config.label)
        if database is None:
            found.append(_not_mapped(config.label))
        elif database not in settings.DATABASES:
            found.append(_lacking(config.label, database))
        for model in config.get_models(include_auto_created=True):
            found += _leading_away(model)
    return found


def _not_mapped(label: str) -> CheckMessage:
    return Error(
        f"The app {label!r} has models, but no database is said to have their tables.",
        hint=f"Add {label!r} to APP_DATABASES in settings/base.py.",
        id="example_site.E001",
    )


def _lacking(label: str, database: str) -> CheckMessage:
    return Error(
        f"The app {label!r} has its tables in the database {database!r}, which the service "
        f"{settings.SERVICE!r} has not.",
        hint=f"Add {database!r} to LOGICAL_DATABASES of the service, or take the app out.",
        id="example_site.E003",
    )


def _leading_away(model: Any) -> Iterator[CheckMessage]:
    """Report the relations of a model that its database could not keep."""
    here = database_of(model._meta.app_label)
    for field in model._meta.get_fields():
        if not isinstance(field, Field) or not field.remote_field:
            continue
        other = field.related_model
        is_model = isinstance(other, type)
        there = database_of(other._meta.app_label) if is_model else here
        if there != here:
            yield Error(
                f"{field.name!r} leads from the database {here!r} to {other._meta.label} in the "
                f"database {there!r}.",
                hint="Keep the other row's key in a plain field, or both apps in one database.",
                obj=model,
                id="example_site.E002",
            )
