"""The PostgreSQL of a measurement: a temporary one, or that of DATABASE_URL.

Also counts connections, as the server sees them. Does not depend on web servers.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from deploy.cluster import MAX_CONNECTIONS
from deploy.localdb import LocalPostgres

__all__ = ["NAME", "ConnectionCounter", "database", "named", "scratch"]

NAME = f"bench-{os.getpid()}"


@contextmanager
def database(connections: int = MAX_CONNECTIONS) -> Iterator[str]:
    """Give the address of a PostgreSQL: DATABASE_URL, or a server that lives as long as this.

    Args:
        connections: how many the server allows, if it is ours.
    """
    if url := os.environ.get("DATABASE_URL"):
        yield url
        return
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        LocalPostgres(Path(folder), temporary=True, max_connections=connections) as server,
    ):
        yield server.url


@contextmanager
def scratch(url: str, name: str = "bench_services") -> Iterator[str]:
    """Give the address of an empty database beside another, which is dropped afterwards."""
    drop = f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(drop)
        connection.execute(f'CREATE DATABASE "{name}"')
        try:
            yield urlsplit(url)._replace(path=f"/{name}").geturl()
        finally:
            connection.execute(drop)


def named(url: str, name: str = NAME) -> str:
    """Return the address with an application name, by which a server distinguishes its clients."""
    return f"{url}{'&' if '?' in url else '?'}application_name={name}"


class ConnectionCounter:
    """Counts the connections of one application to a database, and remembers the most.

    Args:
        url: the address of the database.
        name: the application's name.

    Attributes:
        most: the most that a count has found.
    """

    def __init__(self, url: str, name: str = NAME) -> None:
        self._connection = psycopg.connect(url, autocommit=True)
        self._name = name
        self.most = 0

    def __enter__(self) -> ConnectionCounter:
        return self

    def __exit__(self, *error: object) -> None:
        self._connection.close()

    def count(self) -> int:
        """Return how many connections are open now."""
        row = self._connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s", [self._name]
        ).fetchone()
        assert row is not None  # noqa: S101 - an aggregate always has a row
        self.most = max(self.most, row[0])
        return row[0]

    def version(self) -> str:
        """Return the version of the server."""
        return str(self._connection.info.parameter_status("server_version"))
