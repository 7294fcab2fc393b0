"""The example's logical databases in a local server, beside the one that is called like the role.

Owns their names there. Must not know which service needs which: that is the settings'.
"""

from __future__ import annotations

import contextlib

import psycopg

__all__ = ["LOGICAL_DATABASES", "make_databases"]

LOGICAL_DATABASES = ("users", "greetings", "tweets")


def make_databases(url: str) -> None:
    """Make those of the example's databases that are not there yet.

    Args:
        url: the address of any database of the server, of a role that may make others.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        found = {name for (name,) in connection.execute("SELECT datname FROM pg_database")}
        for name in LOGICAL_DATABASES:
            if name not in found:
                with contextlib.suppress(psycopg.errors.DuplicateDatabase):  # another was faster
                    connection.execute(f'CREATE DATABASE "{name}"')
