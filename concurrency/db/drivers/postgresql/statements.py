"""Shared by both PostgreSQL drivers: recognises statements that change a session."""

from __future__ import annotations

from typing import Any

from concurrency.db.drivers.sessions import changes_postgresql, makes_parameter, names_parameter
from concurrency.db.drivers.watching import WatchedSession


class WatchedPostgreSQL(WatchedSession):
    """Mixin for a driver's connection; see ``WatchedSession``."""

    changes_session = staticmethod(changes_postgresql)

    def note_change(self, text: str | None) -> None:
        """Record a statement that changes the session; None if its text is unknown."""
        super().note_change(text if text is None or names_parameter(text) else None)
        if text is not None and makes_parameter(text):
            self.is_beyond_reset = True

    def text_of(self, sql: Any) -> str | None:
        """Return a statement as text; composed ones need the connection."""
        return str(sql.as_string(self)) if hasattr(sql, "as_string") else super().text_of(sql)
