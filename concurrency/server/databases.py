"""Checks whether databases respond and are migrated; for readiness and before a start."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from django.db import connections, router
from django.db.migrations.executor import MigrationExecutor
from django.db.utils import DatabaseError

__all__ = ["aliases", "missing_folder", "pending", "quietly", "unreachable"]


def aliases() -> list[str]:
    """Return the aliases that have a database.

    A project that names all of its databases leaves `default` empty.
    """
    return [alias for alias in connections if connections[alias].vendor != "unknown"]


@contextmanager
def quietly() -> Iterator[None]:
    """Keep the pools' warnings out of the log, for a command that reports failures itself."""

    def nothing(record: logging.LogRecord) -> bool:
        return False

    logger = logging.getLogger("concurrency.db")
    logger.addFilter(nothing)
    try:
        yield
    finally:
        logger.removeFilter(nothing)


def missing_folder(alias: str) -> str | None:
    """Return the folder of SQLite's file if it is missing, else None."""
    name = str(connections[alias].settings_dict["NAME"])
    if connections[alias].vendor != "sqlite" or name.startswith(("file:", ":memory:")):
        return None
    folder = Path(name).absolute().parent
    return None if folder.is_dir() else str(folder)


def unreachable(alias: str, *, details: bool = False) -> str | None:
    """Return why a database does not respond, or None if it does.

    A probe gets only the kind of error, because the text can hold addresses and names. A
    kept connection may have died with the server, so a second one is tried.

    Args:
        alias: alias of the database.
        details: whether to include the text of the error.
    """
    reason = None
    for _ in range(2):
        kept = connections[alias].connection is not None
        try:
            with connections[alias].cursor() as cursor:
                cursor.execute("SELECT 1")
        except (DatabaseError, ImproperlyConfigured) as error:
            reason = type(error).__name__
            if details:
                reason = f"{reason}: {' '.join(str(error).split())}"
            connections[alias].close()
            if not kept:
                return reason
        else:
            return None
    return reason


def unmigrated(alias: str) -> str | None:
    """Return in a few words why a reachable database is not migrated, or None if it is."""
    try:
        left = pending(alias)
    except DatabaseError as failure:
        return f"unreachable: {type(failure).__name__}"
    return f"{len(left)} migrations are pending, the first is {left[0]}" if left else None


def pending(alias: str) -> list[str]:
    """Return the pending migrations of a database, as `app.name`.

    Migrations of an app whose tables the router keeps elsewhere do not count.

    Raises:
        django.db.DatabaseError: the query failed.
    """
    executor = MigrationExecutor(connections[alias])
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [
        f"{migration.app_label}.{migration.name}"
        for migration, _ in plan
        if router.allow_migrate(alias, migration.app_label)
    ]
