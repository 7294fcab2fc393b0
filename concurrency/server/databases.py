"""Are the databases there, and migrated? Asked by the readiness probe and before a start."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured
from django.db import connections, router
from django.db.migrations.executor import MigrationExecutor
from django.db.utils import DatabaseError

__all__ = ["aliases", "pending", "unreachable"]


def aliases() -> list[str]:
    """Return the aliases behind which there is a database.

    A project whose databases all have names of their own leaves `default` empty.
    """
    return [alias for alias in connections if connections[alias].vendor != "unknown"]


def unreachable(alias: str) -> str | None:
    """Return why a database does not answer, or None if it does.

    Only the kind of error is told: its text may hold addresses and names. A connection
    that was kept from the last time may have died with the server, so a second one is
    tried.
    """
    reason = None
    for _ in range(2):
        kept = connections[alias].connection is not None
        try:
            with connections[alias].cursor() as cursor:
                cursor.execute("SELECT 1")
        except (DatabaseError, ImproperlyConfigured) as error:
            reason = type(error).__name__
            connections[alias].close()
            if not kept:
                return reason
        else:
            return None
    return reason


def pending(alias: str) -> list[str]:
    """Return the migrations that a database still needs, as `app.name`.

    Those of an app whose tables the router keeps elsewhere do not count.

    Raises:
        django.db.DatabaseError: it cannot be asked.
    """
    executor = MigrationExecutor(connections[alias])
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [
        f"{migration.app_label}.{migration.name}"
        for migration, _ in plan
        if router.allow_migrate(alias, migration.app_label)
    ]
