"""The servers that a soak starts and restarts, and how many sessions they have."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import psycopg
import pymysql

from bench.mariadb import MariaDB
from deploy.localdb import LocalPostgres


class Server(Protocol):
    """A database server for some of the drivers."""

    url: str

    def restart(self) -> bool:
        """Stop it and start it again; False where that has no meaning."""

    def sessions(self, name: str) -> int | None:
        """Return how many sessions a driver's pool has, None while the server is away."""


class Postgres:
    """For both psycopgs, whose sessions are told by their application name."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        # Not a temporary one, which would lose its data with its first restart.
        self._server = LocalPostgres(folder / "postgresql")
        stack.callback(self._server.delete)
        self._server.start()
        self.url = self._server.url

    def restart(self) -> bool:
        self._server.stop()
        self._server.start()
        return True

    def sessions(self, name: str) -> int | None:
        sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
        try:
            with psycopg.connect(self.url, connect_timeout=2) as connection:
                row = connection.execute(sql, [name]).fetchone()
        except psycopg.Error:
            return None
        return row[0] if row else None


class Maria:
    """For PyMySQL. The session that stops statements uses no database, and is not counted."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._server = stack.enter_context(MariaDB())
        self.url = self._server.url

    def restart(self) -> bool:
        self._server.stop()
        self._server.start()
        return True

    def sessions(self, name: str) -> int | None:
        sql = (
            "SELECT count(*) FROM information_schema.processlist "
            "WHERE user = %s AND (db IS NOT NULL OR command = 'Killed')"
        )
        try:
            with self._server.root() as connection, connection.cursor() as cursor:
                cursor.execute(sql, [self._server.user])
                return int(cursor.fetchone()[0])
        except pymysql.Error:
            return None


class File:
    """For SQLite, which has no server."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.url = f"sqlite:///{folder / 'soak.sqlite3'}"

    def restart(self) -> bool:
        return False

    def sessions(self, name: str) -> int | None:
        return None


SERVERS: dict[str, type[Postgres | Maria | File]] = {
    "psycopg3": Postgres,
    "psycopg2": Postgres,
    "pymysql": Maria,
    "sqlite": File,
}


def missing(driver: str) -> str | None:
    """Return the program that a driver's server needs and that is not installed, if any."""
    needed = "mariadbd" if SERVERS[driver] is Maria else None
    return None if needed is None or shutil.which(needed) else needed
