"""What psycopg 3 does not promise. It imports nothing of psycopg."""

from __future__ import annotations

from typing import Any

from concurrency.compat.names import Names

__all__ = ["NAMES", "OF_PREPARING", "OF_TRANSACTIONS", "forget_prepared"]

NAMES = Names(
    "psycopg",
    "psycopg:Connection()._deferrable",
    "psycopg:Connection()._isolation_level",
    "psycopg:Connection()._prepared",
    "psycopg:Connection()._read_only",
    "psycopg:Connection._should_cancel(self)",
    "psycopg:Connection._start_query(self)",
    "psycopg:Cursor()._conn",
    "psycopg._preparing:PrepareManager.clear(self)",
    "psycopg._preparing:PrepareManager.prepare_threshold",
    "psycopg._preparing:PrepareManager.prepared_max",
    "psycopg.generators:copy_from(pgconn)",
    "psycopg.generators:fetch_many(pgconn)",
)

#: Attributes of a connection that become part of its next BEGIN. Its properties of nearly
#: the same names do a step of Python each.
OF_TRANSACTIONS = ("_isolation_level", "_read_only", "_deferrable")

#: Attributes of a connection that say when statements are prepared, for the same reason.
OF_PREPARING = ("_prepared.prepare_threshold", "_prepared.prepared_max")


def forget_prepared(raw: Any) -> None:
    """Have a connection forget its prepared statements, which the server does not have any more.

    Before 3.3.5 it does not notice that by itself.
    """
    raw._prepared.clear()
