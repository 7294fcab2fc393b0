"""Finds options that this package does not have: those of other pools, and unknown ones.

Each would fail with the first query, or be ignored silently. Which options are known comes
from the driver itself, so that this module keeps up with new releases.
"""

from __future__ import annotations

import contextlib
import inspect
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from concurrency.db.pool.options import is_ours
from concurrency.db.pool.replacements import CHECKED

#: In OPTIONS, of django-db-geventpool.
_GEVENTPOOL = {
    "MAX_CONNS": "Write OPTIONS['pool'] = {{'max_size': {value!r}}}.",
    "REUSE_CONNS": "Write OPTIONS['pool'] = {{'min_size': {value!r}}}: so many are kept open.",
}

#: In POOL_OPTIONS, beside OPTIONS, of django-db-connection-pool.
_CONNECTION_POOL = {
    "POOL_SIZE": "Write OPTIONS['pool'] = {{'max_size': {value!r}}} plus MAX_OVERFLOW.",
    "MAX_OVERFLOW": "Add it to OPTIONS['pool']['max_size'].",
    "TIMEOUT": "Write OPTIONS['pool'] = {{'timeout': {value!r}}}.",
    "RECYCLE": "Write OPTIONS['pool'] = {{'max_lifetime': {value!r}}}.",
    "PRE_PING": CHECKED,
    **_GEVENTPOOL,
}

_REMEDY = "Remove it, or correct its name; options of the pool stand in OPTIONS['pool']."


def foreign_options(connection: Any) -> Iterator[tuple[str, str]]:
    """Yield a problem and its remedy for each option that neither pool nor driver has.

    Args:
        connection: a pooled wrapper; this function does not connect it.
    """
    settings = connection.settings_dict
    for name, value in settings["OPTIONS"].items():
        if name in _GEVENTPOOL:
            yield (
                f"['OPTIONS'][{name!r}] is an option of django-db-geventpool.",
                _GEVENTPOOL[name].format(value=value),
            )
    yield from _of_connection_pool(settings.get("POOL_OPTIONS"))
    for name in _unknown_to_driver(connection, settings["OPTIONS"]):
        yield f"['OPTIONS'][{name!r}] is no option of the driver, which refuses it.", _REMEDY


def _of_connection_pool(given: Any) -> Iterator[tuple[str, str]]:
    for name, value in (given or {}).items():
        remedy = _CONNECTION_POOL.get(name, "Remove it.").format(value=value)
        yield f"['POOL_OPTIONS'][{name!r}] is an option of django-db-connection-pool.", remedy


def _unknown_to_driver(connection: Any, options: Mapping[str, Any]) -> Iterator[str]:
    try:
        # Django removes its own options here.
        parameters = connection.get_connection_params()
    except ImproperlyConfigured:
        return  # Django's own message is better, and comes with the first query
    takes = _DRIVERS.get(connection.vendor)
    for name in options:
        left = name in parameters and not is_ours(name) and name not in _GEVENTPOOL
        if left and takes is not None and not takes(name, parameters[name]):
            yield name


# Asking a driver


def _is_of_postgresql(name: str, value: Any) -> bool:
    from django.db.backends.postgresql.psycopg_any import is_psycopg3

    if is_psycopg3:
        import psycopg

        known = {each.keyword.decode() for each in psycopg.pq.Conninfo.get_defaults()}
        return name in known | _parameters(psycopg.Connection.connect)
    import psycopg2
    from psycopg2.extensions import make_dsn

    if name in _parameters(psycopg2.connect):
        return True
    with contextlib.suppress(psycopg2.ProgrammingError):
        return bool(make_dsn(**{name: "1"}))
    return False


def _is_of_pymysql(name: str, value: Any) -> bool:
    from pymysql.connections import Connection

    return name in _parameters(Connection)


def _is_of_sqlite(name: str, value: Any) -> bool:
    # sqlite3.connect has no signature to inspect.
    try:
        sqlite3.connect(":memory:", **{name: value}).close()
    except TypeError as error:
        return name not in str(error)
    except sqlite3.Error:
        return True
    return True


@cache
def _parameters(function: Callable[..., Any]) -> frozenset[str]:
    kinds = inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL
    parameters = inspect.signature(function).parameters.values()
    return frozenset(each.name for each in parameters if each.kind not in kinds)


_DRIVERS: dict[str, Callable[[str, Any], bool]] = {
    "postgresql": _is_of_postgresql,
    "mysql": _is_of_pymysql,
    "sqlite": _is_of_sqlite,
}
