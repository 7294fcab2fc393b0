"""Three lines make a derived backend a pooled one; the class above stands for PostGIS."""

from __future__ import annotations

from django.db.backends.postgresql import base

from concurrency.db.backends.postgresql.base import PooledPostgreSQL


class Derived(base.DatabaseWrapper):
    """What somebody else derived from Django's backend."""

    def init_connection_state(self) -> None:
        """Set up what this backend needs, once for each connection."""
        super().init_connection_state()
        with self.cursor() as cursor:
            cursor.execute("SET application_name = 'derived'")


class DatabaseWrapper(PooledPostgreSQL, Derived): ...
