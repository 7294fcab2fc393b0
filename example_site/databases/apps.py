"""Registers the checks of the logical databases; brings the command ``migrate``."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks


class DatabasesConfig(AppConfig):
    """Router, checks and migrations of the logical databases; it has no models."""

    name = "example_site.databases"

    def ready(self) -> None:
        """Let ``manage.py check`` look at the map."""
        from example_site.databases.checks import check_databases

        checks.register(check_databases)
