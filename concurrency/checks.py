"""System checks: what is unsafe, what has no effect, what will not fit.

``docs/checks.md`` lists them; a test keeps page and code equal.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import fields
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from django.conf import settings
from django.core import checks
from django.db import connections
from django.db.utils import DatabaseError

from concurrency import aio, conf
from concurrency.compat import asgiref, asyncio, survey
from concurrency.db.pool import foreign_options, options
from concurrency.db.wrapper.wrapper import PooledDatabaseWrapper
from concurrency.patching import lateness, libraries
from concurrency.server import checks as serving
from concurrency.server.options import ServeOptions
from concurrency.server.options import problem as problem_of_serve

Messages = list[checks.CheckMessage]

_FIRST = "Make `import concurrency.patch` the first statement of the entry point."

# From which release of a Python series on which gevent is needed: before it, forking
# and threads fail. Sources: gevent issues 2020 (3.11.8, 3.12.2) and 2119 (3.13.5).
_NEEDED_GEVENT = {
    (3, 11): (8, (24, 2)),
    (3, 12): (2, (24, 2)),
    (3, 13): (5, (25, 8)),
}


def register() -> None:
    """Register all checks with Django."""
    checks.register(check_patch)
    checks.register(check_driver)
    checks.register(check_libraries)
    checks.register(check_asyncio)
    checks.register(check_private_names)
    checks.register(check_settings)
    checks.register(check_databases)
    checks.register(check_versions)
    checks.register(check_server_limit, checks.Tags.database)
    checks.register(serving.check_middleware)
    checks.register(serving.check_gunicorn_file)
    checks.register(serving.check_extras)


def check_patch(**kwargs: Any) -> Messages:
    """Is this process patched, and was it in time?"""
    if not lateness.is_patched():
        return [
            checks.Warning(
                "This process is not patched: greenlets block each other and databases "
                "are not pooled.",
                hint=f"{_FIRST} If it is, CONCURRENCY_PATCH or "
                f"CONCURRENCY_UNPATCHED_COMMANDS in the environment has turned it off.",
                id="concurrency.W001",
            )
        ]
    return [
        checks.Error(
            f"The patch came too late for {module}, which {what}.",
            hint=f"{_FIRST} It must run before {module} is imported.",
            id="concurrency.E001",
        )
        for module, what in lateness.late_modules()
    ]


def check_driver(**kwargs: Any) -> Messages:
    """Would a database driver block all greenlets?"""
    if not lateness.is_patched():
        return []
    found: Messages = []
    engines = {connection.vendor for connection in connections.all()}
    mysql = sys.modules.get("MySQLdb")
    if "mysql" in engines and mysql is not None and mysql.__name__ != "pymysql":
        found.append(
            checks.Error(
                "mysqlclient blocks all greenlets while it waits.",
                hint="Uninstall mysqlclient and install pymysql.",
                id="concurrency.E002",
            )
        )
    psycopg2 = sys.modules.get("psycopg2.extensions")
    uses_psycopg2 = "postgresql" in engines and sys.modules.get("psycopg") is None
    if uses_psycopg2 and psycopg2 is not None and psycopg2.get_wait_callback() is None:
        found.append(
            checks.Error(
                "psycopg2 has no wait callback and blocks all greenlets while it waits.",
                hint="Install psycogreen, or use the ENGINE concurrency.db.backends.postgresql.",
                id="concurrency.E003",
            )
        )
    return found


def check_libraries(**kwargs: Any) -> Messages:
    """Is a library in use that would block all greenlets?"""
    if not lateness.is_patched():
        return []
    return [
        checks.Warning(
            f"{library.name} blocks all greenlets while it waits.",
            hint=library.remedy,
            id="concurrency.W009",
        )
        for library in libraries.blocking()
    ]


def check_asyncio(**kwargs: Any) -> Messages:
    """Do asynchronous views and asyncio work beside greenlets?"""
    if not lateness.is_patched():
        return []
    found: Messages = []
    policy = asyncio.policy()
    if type(policy).__module__.partition(".")[0] == "uvloop":
        found.append(
            checks.Error(
                "uvloop makes asyncio's loops, which would stop all greenlets while they wait.",
                hint="Remove uvloop.install() or set_event_loop_policy() with uvloop's policy.",
                id="concurrency.E006",
            )
        )
    if not aio.is_installed():
        missing = asgiref.NAMES.missing()
        found.append(
            checks.Warning(
                "This asgiref is not known: kills and deadlines do not cross into coroutines, "
                "and each call of async_to_sync makes a thread and a loop"
                f"{': ' if missing else ''}{'; '.join(missing)}.",
                hint="Install a version of asgiref that this package was tested with.",
                id="concurrency.W007",
            )
        )
    return found


def check_private_names(**kwargs: Any) -> Messages:
    """Has an upgrade of a dependency taken away what this package uses of it?"""
    if not lateness.is_patched():
        return []
    return [
        checks.Error(
            f"{line}, which this package uses: requests may fail.",
            hint="Install a version of it that this package was tested with.",
            id="concurrency.E011",
        )
        for line in survey.missing("asgiref")  # that is concurrency.W007
    ]


def check_settings(**kwargs: Any) -> Messages:
    """Are the keys of ``CONCURRENCY`` known and of the right type?"""
    given = getattr(settings, "CONCURRENCY", {})
    if not isinstance(given, dict):
        return [checks.Error("CONCURRENCY must be a dictionary.", id="concurrency.E004")]
    of_serve = {
        field.name.upper(): partial(problem_of_serve, field.name) for field in fields(ServeOptions)
    }
    return [
        checks.Error(f"CONCURRENCY[{key!r}] {problem}.", id="concurrency.E004")
        for key, problem in conf.problems(of_serve)
    ]


def check_databases(**kwargs: Any) -> Messages:
    """Do the options of the databases make sense for greenlets?"""
    found: Messages = []
    for alias in connections:
        connection: Any = connections[alias]
        age = connection.settings_dict.get("CONN_MAX_AGE", 0)
        if isinstance(connection, PooledDatabaseWrapper):
            found += _check_pool(alias, connection, age)
        elif age != 0 and lateness.is_patched():
            found.append(
                checks.Warning(
                    f"DATABASES[{alias!r}] keeps one connection for each greenlet "
                    f"(CONN_MAX_AGE is {age}): there is no limit to their number.",
                    hint="Use an ENGINE of concurrency.db.backends, or set CONN_MAX_AGE to 0.",
                    id="concurrency.W002",
                )
            )
    return found


def _check_pool(alias: str, connection: Any, age: int | None) -> Iterator[checks.CheckMessage]:
    for problem in options.problems(connection.settings_dict["OPTIONS"]):
        yield checks.Error(
            f"DATABASES[{alias!r}]['OPTIONS']['pool']: {problem}.", id="concurrency.E005"
        )
    for problem, remedy in foreign_options.foreign_options(connection):
        yield checks.Error(f"DATABASES[{alias!r}]{problem}", hint=remedy, id="concurrency.E008")
    if not connection.has_pool():
        yield checks.Warning(
            f"DATABASES[{alias!r}]: its pool is off ('pool': False): each greenlet opens a "
            f"connection of its own, and there is no limit to their number.",
            hint="Remove 'pool': False, which other pools need and this package does not.",
            id="concurrency.W008",
        )
    if age != 0:
        yield checks.Warning(
            f"DATABASES[{alias!r}]: CONN_MAX_AGE has no meaning for a pooled database.",
            hint="Remove it; OPTIONS['pool'] has max_lifetime and max_idle.",
            id="concurrency.W003",
        )


def check_versions(**kwargs: Any) -> Messages:
    """Are Python and gunicorn known to work with gevent?"""
    found: Messages = []
    release, needed = _NEEDED_GEVENT.get(sys.version_info[:2], (0, ()))
    if sys.version_info[2] >= release and _installed("gevent") < needed:
        found.append(
            checks.Warning(
                f"Python {'.'.join(map(str, sys.version_info[:3]))} breaks gevent before "
                f"{'.'.join(map(str, needed))}.",
                hint="Upgrade Python or gevent.",
                id="concurrency.W004",
            )
        )
    if getattr(sys, "_is_gil_enabled", lambda: True)() is False:
        found.append(
            checks.Warning(
                "gevent does not support a Python without the global interpreter lock.",
                hint="Use the ordinary build of Python.",
                id="concurrency.W004",
            )
        )
    if () < _installed("gunicorn") < (25, 3):
        found.append(
            checks.Warning(
                "gunicorn before 25.3 is not tested with this package.",
                hint="Upgrade: pip install 'gunicorn[gevent]>=25.3'.",
                id="concurrency.W005",
            )
        )
    return found


def _installed(package: str) -> tuple[int, ...]:
    try:
        parts = version(package).split(".")
    except PackageNotFoundError:
        return ()
    return tuple(int(part) for part in parts[:3] if part.isdigit())


def check_server_limit(databases: Sequence[str] | None = None, **kwargs: Any) -> Messages:
    """Do the pools of all workers fit into what the server allows?

    Asks the server; like all checks of databases it runs with ``migrate`` and
    ``check --database``.
    """
    found: Messages = []
    for alias in databases or ():
        connection: Any = connections[alias]
        ask = getattr(connection, "connections_allowed", None)
        is_pooled = isinstance(connection, PooledDatabaseWrapper) and connection.has_pool()
        if ask is None or not is_pooled:
            continue
        try:
            allowed = ask()
        except DatabaseError:
            continue  # Django's own message about an unreachable server is better
        size, workers = connection.pool_options().max_size, serving.count_workers()
        if size * workers > allowed:
            found.append(
                checks.Warning(
                    f"DATABASES[{alias!r}]: {workers} workers with pools of {size} need "
                    f"{size * workers} connections, the server allows {allowed}.",
                    hint="Lower max_size or the number of workers, or raise max_connections.",
                    id="concurrency.W006",
                )
            )
    return found
