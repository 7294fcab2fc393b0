"""Sets the demonstration up when Django starts."""

from __future__ import annotations

from django.apps import AppConfig
from django.db.backends.signals import connection_created


class SlowSQLConfig(AppConfig):
    """Slow SQL, one at a time and ten at once; it has no models."""

    name = "example_site.apps.slowsql"

    def ready(self) -> None:
        """Give SQLite the ``sleep`` that the other databases bring along."""
        from example_site.apps.slowsql.sqlite import register_sleep

        connection_created.connect(register_sleep, dispatch_uid="slowsql.sleep")
