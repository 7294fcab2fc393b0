"""A database URL becomes an entry of DATABASES.

Owns which engine serves which kind of URL, and the size of the pool.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote, urlsplit

from environ import Env

from settings import environment

POSTGRESQL: Final = frozenset({"postgres", "postgresql", "pgsql", "psql"})
ENGINES: Final = {
    **dict.fromkeys(POSTGRESQL, "concurrency.db.backends.postgresql"),
    **dict.fromkeys(("mysql", "mysql2", "mariadb"), "concurrency.db.backends.mysql"),
    "sqlite": "concurrency.db.backends.sqlite3",
}


def from_url(url: str) -> dict[str, Any]:
    """Return the entry of DATABASES for a URL such as `postgres://user:password@host:5432/name`.

    All get this project's backends with their pool.

    Raises:
        SettingsError: The URL is not one of PostgreSQL, MySQL or SQLite.
    """
    try:
        scheme = urlsplit(url).scheme
        config: dict[str, Any] = Env.db_url_config(url) if scheme in ENGINES else {}
    except ValueError:  # a port that is no number, say; the URL has a password, so it is not shown
        config = {}
    if not config.get("NAME"):
        raise environment.SettingsError(
            "DATABASE_URL",
            "is not like postgres://user:password@host:5432/name, mysql://... or sqlite:///file",
        )
    config["CONN_MAX_AGE"] = 0  # the pool keeps connections; without it each greenlet would
    config["ENGINE"] = ENGINES[scheme]
    config["OPTIONS"] = {**config.get("OPTIONS", {}), "pool": pool()}
    return config


def pool() -> dict[str, float]:
    """Return the pool's options: connections for each process, and seconds to wait for one."""
    return {
        "min_size": 0,
        "max_size": environment.integer("DATABASE_POOL_MAX_SIZE", 20, least=1),
        "timeout": environment.number("DATABASE_POOL_TIMEOUT", 5.0),
    }


def local_url() -> str:
    """Return the URL of the checkout's own PostgreSQL, which `make db` starts.

    Raises:
        SettingsError: It was never started, so its password and port are not known.
    """
    password = environment.text("LOCAL_DB_PASSWORD", "")
    port = environment.integer("LOCAL_DB_PORT", 0)
    if not password or not port:
        raise environment.SettingsError(
            "DATABASE_URL", "is empty and the local PostgreSQL was never started: run `make db`"
        )
    return f"postgres://concurrency:{quote(password, '')}@127.0.0.1:{port}/concurrency"
