"""Are the databases there, and migrated? Asked by the readiness probe and before a start."""

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
    """Return the aliases behind which there is a database.

    A project whose databases all have names of their own leaves `default` empty.
    """
    return [alias for alias in connections if connections[alias].vendor != "unknown"]


@contextmanager
def quietly() -> Iterator[None]:
    """Keep the pools' warnings out of the log, for a command that says itself what fails."""

    def nothing(record: logging.LogRecord) -> bool:
        return False

    logger = logging.getLogger("concurrency.db")
    logger.addFilter(nothing)
    try:
        yield
    finally:
        logger.removeFilter(nothing)


def missing_folder(alias: str) -> str | None:
    """Return the folder of SQLite's file, if there is a file to be and no folder for it."""
    name = str(connections[alias].settings_dict["NAME"])
    if connections[alias].vendor != "sqlite" or name.startswith(("file:", ":memory:")):
        return None
    folder = Path(name).absolute().parent
    return None if folder.is_dir() else str(folder)


def unreachable(alias: str, *, details: bool = False) -> str | None:
    """Return why a database does not answer, or None if it does.

    For a probe only the kind of error: its text may hold addresses and names. A connection
    that was kept from the last time may have died with the server, so a second one is
    tried.

    Args:
        alias: the database.
        details: whether the text of the error is returned too.
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
    """Return what keeps a reachable database from being migrated, in a few words, or None."""
    try:
        left = pending(alias)
    except DatabaseError as failure:
        return f"unreachable: {type(failure).__name__}"
    return f"{len(left)} migrations are pending, the first is {left[0]}" if left else None


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
