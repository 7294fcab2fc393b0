"""``migrate`` for every logical database of the service, one after the other.

Each gets the migrations of the apps that are mapped to it and of no other, so its
history tells what it holds. A lock in the database lets one process migrate it at a
time; others wait, and find nothing to do.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.management.commands.migrate import Command as Migrate
from django.db import DEFAULT_DB_ALIAS
from django.db.migrations.loader import MigrationLoader

from concurrency.db.locks import advisory_lock
from example_site.databases.router import database_of

__all__ = ["Command"]

LOCK_TIMEOUT = 600.0  # seconds; the migrations of somebody else may take long


class Command(Migrate):
    """Django's command, with more than one database."""

    help = "Migrates every logical database of the service; --database picks one."

    def add_arguments(self, parser: Any) -> None:
        """Take Django's options; without ``--database`` it is every one."""
        super().add_arguments(parser)
        parser.set_defaults(database=None)

    def get_check_kwargs(self, options: dict[str, Any]) -> dict[str, Any]:
        """Check those databases that will be migrated."""
        found = super().get_check_kwargs(options)
        database = options["database"]
        every = settings.LOGICAL_DATABASES if settings.DATABASE_ROUTERS else [DEFAULT_DB_ALIAS]
        return {**found, "databases": [database] if database else every}

    def handle(self, *args: Any, **options: Any) -> None:
        """Migrate what the options ask for."""
        for alias, labels in self._asked_for(options["database"], options["app_label"]):
            with advisory_lock("migrate", using=alias, timeout=LOCK_TIMEOUT):
                for label in labels:
                    super().handle(**{**options, "database": alias, "app_label": label})

    def _asked_for(
        self, database: str | None, label: str | None
    ) -> Iterator[tuple[str, list[str | None]]]:
        """Yield databases, each with the labels of apps to migrate; None stands for all."""
        if not settings.DATABASE_ROUTERS:
            yield database or DEFAULT_DB_ALIAS, [label]
        elif label:
            yield database or database_of(label) or DEFAULT_DB_ALIAS, [label]
        else:
            for alias in [database] if database else settings.LOGICAL_DATABASES:
                if labels := labels_in(alias):
                    yield alias, labels


def labels_in(alias: str) -> list[str | None]:
    """Return the labels of the apps with migrations whose tables a logical database has."""
    migrated = MigrationLoader(None).migrated_apps
    return [
        config.label
        for config in apps.get_app_configs()
        if config.label in migrated and database_of(config.label) == alias
    ]
