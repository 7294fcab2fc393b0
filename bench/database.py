"""The PostgreSQL of a measurement: a temporary one, or that of DATABASE_URL.

Also counts connections, as the server sees them. Knows nothing of web servers.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from deploy.localdb import LocalPostgres

__all__ = ["ConnectionCounter", "database"]

_NAME = "bench"  # application_name of our own connections, which do not count


@contextmanager
def database() -> Iterator[str]:
    """Give the address of a PostgreSQL: DATABASE_URL, or a server that lives as long as this."""
    if url := os.environ.get("DATABASE_URL"):
        yield url
        return
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        LocalPostgres(Path(folder), temporary=True) as server,
    ):
        yield server.url


class ConnectionCounter:
    """Counts the connections of everybody else to a database, and remembers the most.

    Args:
        url: the address of the database.
    """

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url, autocommit=True, application_name=_NAME)
        self.most = 0
        self.most_active = 0

    def __enter__(self) -> ConnectionCounter:
        return self

    def __exit__(self, *error: object) -> None:
        self._connection.close()

    def count(self) -> int:
        """Return how many connections are open now."""
        row = self._connection.execute(
            "SELECT count(*), count(*) FILTER (WHERE state = 'active') FROM pg_stat_activity "
            "WHERE datname = current_database() AND backend_type = 'client backend' "
            "AND application_name <> %s",
            [_NAME],
        ).fetchone()
        assert row is not None  # noqa: S101 - an aggregate always has a row
        self.most = max(self.most, row[0])
        self.most_active = max(self.most_active, row[1])
        return row[0]

    def version(self) -> str:
        """Return the version of the server."""
        return str(self._connection.info.parameter_status("server_version"))
