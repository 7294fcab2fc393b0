"""Which private names an upgrade of a dependency has taken away."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec

__all__ = ["DEPENDENCIES", "missing", "missing_of"]

#: Modules of this package, each with the module that shows that its dependency is in use.
DEPENDENCIES = {
    "asgiref": "asgiref.sync",
    "asyncio": "asyncio",
    "debug_toolbar": "debug_toolbar.panels.sql.tracking",
    "django": "django",
    "django_postgresql": "psycopg",
    "gevent": "gevent",
    "gunicorn": "gunicorn.http.message",
    "multiprocessing": "multiprocessing.connection",
    "prometheus_client": "prometheus_client",
    "psycopg": "psycopg",
    "psycopg2": "psycopg2",
    "pymysql": "pymysql.connections",
    "python": "sys",
    "urllib3": "urllib3.connectionpool",
}


def missing(*but: str) -> list[str]:
    """Return a sentence for each name that a dependency lacks which this process uses.

    Args:
        but: modules of this package that are not asked.
    """
    used = [name for name, shown in DEPENDENCIES.items() if shown in sys.modules]
    return [line for name in used if name not in but for line in missing_of(name)]


def missing_of(name: str) -> list[str]:
    """Return a sentence for each name that one dependency lacks; none if it is not installed.

    Args:
        name: a module of this package. It is imported, and its dependency, too.
    """
    if find_spec(DEPENDENCIES[name].partition(".")[0]) is None:
        return []
    try:
        found: list[str] = import_module(f"concurrency.compat.{name}").NAMES.missing()
    except ImportError as error:
        return [str(error)]
    return found
