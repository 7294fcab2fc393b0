"""Three lines make a derived backend a pooled one; the class above stands for PostGIS."""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql import base

from concurrency.db.backends.postgresql.base import PooledPostgreSQL


class Derived(base.DatabaseWrapper):
    """What somebody else derived from Django's backend: it remembers what its session has."""

    #: Who the current work is for; set up in each session.
    tenant = "nobody"
    #: What else is set up, if anything.
    also: str | None = None
    #: Whether the connection of now has been told.
    is_told = False
    #: What ``is_usable`` answers; None asks the server.
    answer: bool | None = None

    def init_connection_state(self) -> None:
        """Set up what this backend needs, whenever Django would set up a connection."""
        super().init_connection_state()
        with self.cursor() as cursor:
            cursor.execute("SELECT set_config('application_name', %s, false)", [self.tenant])
            if self.also is not None:
                cursor.execute(self.also)

    def tell(self) -> None:
        """Tell the session a secret, unless it knows."""
        if not self.is_told:
            with self.cursor() as cursor:
                cursor.execute("SET my.secret = 'told'")
            self.is_told = True

    def is_usable(self) -> bool:
        """Look at more than whether the server answers."""
        usable = super().is_usable() if self.answer is None else self.answer
        return bool(usable)

    def close(self) -> None:
        """Forget what the session knew."""
        self.is_told = False
        super().close()

    def connect(self) -> Any:
        """Connect, which must find nothing of the last connection."""
        super().connect()
        assert not self.is_told


class DatabaseWrapper(PooledPostgreSQL, Derived): ...
