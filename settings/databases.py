"""A database URL becomes an entry of DATABASES.

Owns which engine serves which kind of URL, the size of the pool, and which URL serves which
logical database. Which app's tables are in which of them is `settings.base`'s.
"""

from __future__ import annotations

from collections.abc import Iterable
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


def of_service(
    logical: Iterable[str], default: str = "default", *, local: bool = False
) -> dict[str, dict[str, Any]]:
    """Return DATABASES for a service: its logical databases, as far as they have a URL.

    `DATABASE_URL` serves all of them, and a key such as `DATABASE_URL_USERS` one in its place.

    Args:
        logical: The names of the logical databases.
        default: Which of them Django takes when nobody says which; if there is none of that
            name, to say nothing is an error.
        local: Whether the checkout's own PostgreSQL takes the place of a URL that is missing.
    """
    general = environment.text("DATABASE_URL", "")
    own = {
        "users": ("DATABASE_URL_USERS", environment.text("DATABASE_URL_USERS", "")),
        "greetings": ("DATABASE_URL_GREETINGS", environment.text("DATABASE_URL_GREETINGS", "")),
        "tweets": ("DATABASE_URL_TWEETS", environment.text("DATABASE_URL_TWEETS", "")),
    }
    found: dict[str, dict[str, Any]] = {"default": {}}
    for name in logical:
        key, url = own.get(name, ("", ""))
        if url:
            found[name] = from_url(url, key)
        elif general:
            found[name] = from_url(general)
        elif local:
            found[name] = from_url(local_url("" if name == "default" else name))
    return {**found, "default": found.get(default, {})}


def from_url(url: str, key: str = "DATABASE_URL") -> dict[str, Any]:
    """Return the entry of DATABASES for a URL such as `postgres://user:password@host:5432/name`.

    All get this project's backends with their pool.

    Args:
        url: The address of the database.
        key: Where the URL stands, for the message when it is wrong.

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
            key,
            "is not like postgres://user:password@host:5432/name, mysql://... or sqlite:///file",
        )
    config["CONN_MAX_AGE"] = 0  # the pool keeps connections; without it each greenlet would
    config["ENGINE"] = ENGINES[scheme]
    config["OPTIONS"] = {**config.get("OPTIONS", {}), "pool": pool()}
    return config


def pool() -> dict[str, float | str]:
    """Return the pool's options, of which docs/database.md tells.

    A URL may say another for its database, as `?pool_max_size=5`; the backend reads that itself.
    """
    return {
        "max_size": environment.integer("DATABASE_POOL_MAX_SIZE", 20, least=1),
        "min_size": environment.integer("DATABASE_POOL_MIN_SIZE", 0),
        "timeout": environment.number("DATABASE_POOL_TIMEOUT", 5.0),
        "max_waiting": environment.integer("DATABASE_POOL_MAX_WAITING", 0),
        "max_lifetime": environment.number("DATABASE_POOL_MAX_LIFETIME", 3600.0),
        "max_idle": environment.number("DATABASE_POOL_MAX_IDLE", 600.0),
        "lend_while_waiting": environment.flag("DATABASE_POOL_LEND_WHILE_WAITING", True),
        "reset": environment.text("DATABASE_POOL_RESET", "auto"),
    }


def local_url(database: str = "") -> str:
    """Return the URL of the checkout's own PostgreSQL, which `make db` starts.

    Args:
        database: One of the databases that it makes; empty for the first.

    Raises:
        SettingsError: It was never started, so its password and port are not known.
    """
    password = environment.text("LOCAL_DB_PASSWORD", "")
    port = environment.integer("LOCAL_DB_PORT", 0)
    if not password or not port:
        raise environment.SettingsError(
            "DATABASE_URL", "is empty and the local PostgreSQL was never started: run `make db`"
        )
    name = database or "concurrency"
    return f"postgres://concurrency:{quote(password, '')}@127.0.0.1:{port}/{name}"
