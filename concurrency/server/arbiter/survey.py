"""Facts about the project that `serve` collects before it becomes gunicorn.

They are for the start screen. The arbiter, which prints it, does not load the application:
it gets them through the environment.
"""

from __future__ import annotations

import json
import os
from typing import Any

from concurrency.conf import conf

__all__ = ["Survey", "hand_over", "survey", "take"]

_VARIABLE = "CONCURRENCY_START_SCREEN"
_LIMIT = 5.0  # seconds for the query of a database

#: `shed_after`, seconds or None, and `pools`: one dictionary for each database.
Survey = dict[str, Any]


def survey() -> Survey:
    """Read the settings, and query how many connections the databases allow."""
    from concurrency.server.databases import aliases

    return {"shed_after": conf.SHED_AFTER, "pools": [_pool(alias) for alias in aliases()]}


def _pool(alias: str) -> dict[str, Any]:
    """Return how many connections a pool may hold and its database's server allows."""
    from django.db import connections

    from concurrency.db.wrapper.wrapper import PooledDatabaseWrapper

    connection: Any = connections[alias]
    found: dict[str, Any] = {"alias": alias, "vendor": connection.vendor, "size": None}
    if isinstance(connection, PooledDatabaseWrapper) and connection.has_pool():
        found["size"] = connection.pool_options().max_size
    return found | _server(connection)


def _server(connection: Any) -> dict[str, Any]:
    """Return how many connections the server allows, or why it does not respond."""
    from django.db.utils import DatabaseError

    from concurrency.deadlines import deadline
    from concurrency.errors import DeadlineExceeded
    from concurrency.server.databases import quietly

    ask = getattr(connection, "connections_allowed", None)
    try:
        with quietly(), deadline(_LIMIT):
            if ask is not None:
                return {"allowed": int(ask())}
            connection.ensure_connection()
    except (DatabaseError, DeadlineExceeded) as error:
        return {"error": " ".join(str(error).split()) or type(error).__name__}
    finally:
        connection.close()
    return {}


def hand_over(found: Survey) -> None:
    """Put a survey into the environment of the arbiter that this process becomes."""
    os.environ[_VARIABLE] = json.dumps(found)


def take() -> Survey | None:
    """Return the survey of the command that has become this arbiter, once."""
    text = os.environ.pop(_VARIABLE, None)
    found: Survey | None = json.loads(text) if text else None
    return found
