"""Statements with their values bound by the client, by the server, and prepared.

Called by ``bench.binding`` with the number of queries; prints a JSON object for each way
and query. A database alias for each way, and the ways take turns.
"""

from __future__ import annotations

import concurrency.patch  # isort: skip  # noqa: F401

import json
import os
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from django.conf import settings

__all__ = ["QUERIES", "WAYS"]

#: What ``OPTIONS`` has for each way; the first is Django's default.
WAYS: dict[str, dict[str, Any]] = {
    "client": {},
    "server": {"server_side_binding": True},
    "prepared": {"server_side_binding": True, "prepare_threshold": 0},
}

#: The queries, by name: a row by its key, and one whose plan costs more than its rows.
QUERIES = ("one row by key", "six joins")

BATCH = 20

_TICK = os.sysconf("SC_CLK_TCK")


def configure() -> None:
    """Set Django up with an alias of the same database for each way."""
    import django
    from environ import Env

    database = Env.db_url_config(os.environ["DATABASE_URL"])
    engine = database["ENGINE"].replace("django.db.backends", "concurrency.db.backends")
    databases = {
        way: database | {"ENGINE": engine, "OPTIONS": {**options, "pool": {"max_size": 1}}}
        for way, options in WAYS.items()
    }
    settings.configure(
        DATABASES={"default": databases["client"], **databases},
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"],
        USE_TZ=True,
    )
    django.setup()


def prepare() -> int:
    """Make the tables that are asked, and return the key of a row."""
    from django.contrib.auth.models import Permission
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    return int(Permission.objects.earliest("pk").pk)


def queries(key: int) -> dict[str, Callable[[str], object]]:
    """Return what asks each query through an alias."""
    from django.contrib.auth.models import Permission

    def by_key(alias: str) -> object:
        return Permission.objects.using(alias).filter(pk=key).first()

    def joins(alias: str) -> object:
        found = Permission.objects.using(alias).filter(
            group__user__groups__permissions__content_type__model="user", pk__lt=key
        )
        return found.distinct().first()

    return dict(zip(QUERIES, (by_key, joins), strict=True))


def server_seconds(pid: int) -> float | None:
    """Return the CPU time of a server process, None if it is not on this machine."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / _TICK


def measure(ask: Callable[[str], object], count: int) -> dict[str, dict[str, float | None]]:
    """Return seconds of a query, and of CPU on both sides, for each way."""
    from django.db import connections

    pids, took, mine = {}, {way: [] for way in WAYS}, dict.fromkeys(WAYS, 0.0)
    for way in WAYS:
        with connections[way].cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            pids[way] = cursor.fetchone()[0]
        for _ in range(BATCH):
            ask(way)
    before = {way: server_seconds(pid) for way, pid in pids.items()}
    for _ in range(count // BATCH):
        for way in WAYS:
            cpu, start = process_time(), perf_counter()
            for _ in range(BATCH):
                ask(way)
                connections[way].close_if_unusable_or_obsolete()  # as at a request's end
            took[way].append((perf_counter() - start) / BATCH)
            mine[way] += process_time() - cpu
    done = count // BATCH * BATCH
    found: dict[str, dict[str, float | None]] = {}
    for way, pid in pids.items():
        first, last = before[way], server_seconds(pid)
        server = None if first is None or last is None else (last - first) / done
        found[way] = {
            "seconds": statistics.median(took[way]),
            "client": mine[way] / done,
            "server": server,
        }
    return found


def main(count: str) -> None:
    """Measure every query in every way."""
    configure()
    key = prepare()
    found = {name: measure(ask, int(count)) for name, ask in queries(key).items()}
    print(json.dumps(found))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
