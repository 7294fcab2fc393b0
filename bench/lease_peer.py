"""One way of having connections under gevent, measured in a process of its own.

Called by ``bench.lease``; prints its numbers on standard output.
"""

from __future__ import annotations

import concurrency.patch  # isort: skip  # noqa: F401

import os
import statistics
import sys
from time import perf_counter

import gevent
from django.conf import settings

__all__ = ["PEERS"]

ADDRESS = os.environ.get("DATABASE_URL", "")
POOL = 10
CLIENTS = 50
BATCH = 10  # queries of one client between a look at the clock and the next

OURS = "concurrency.db.backends"
STOCK = "django.db.backends"
GEVENTPOOL = "django_db_geventpool.backends.postgresql_psycopg3"

#: Name, engine or where the engines are, and what each is told about its connections.
PEERS: dict[str, tuple[str, dict[str, object]]] = {
    "ours": (OURS, {"pool": {"max_size": POOL, "timeout": 60.0}}),
    "django": (STOCK, {"pool": {"max_size": POOL, "timeout": 60.0}}),
    "geventpool": (GEVENTPOOL, {"MAX_CONNS": POOL, "REUSE_CONNS": POOL}),
}


def configure(engine: str, options: dict[str, object]) -> None:
    """Set Django up with one database."""
    import django
    from environ import Env

    database = Env.db_url_config(ADDRESS)
    if engine in (OURS, STOCK):
        engine = database["ENGINE"].replace(STOCK, engine)
    database |= {"ENGINE": engine, "OPTIONS": options, "CONN_MAX_AGE": 0}
    settings.configure(
        DATABASES={"default": database},
        INSTALLED_APPS=["django.contrib.contenttypes"],
        USE_TZ=True,
    )
    django.setup()


def prepare() -> None:
    """Make the table that is asked, and a row of it."""
    from django.contrib.contenttypes.models import ContentType
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    ContentType.objects.get_or_create(app_label="bench", model="lease")


def query() -> None:
    """Run a short query of the ORM, as a view would."""
    from django.contrib.contenttypes.models import ContentType

    ContentType.objects.filter(model="lease").first()


def seconds_for_one(queries: int) -> tuple[float, float]:
    """Return the seconds a query takes a single client: with a connection that is kept, and leased.

    Measured in turn, a few queries at a time, and compared with neighbours in time: the
    machine's own changes are larger than the difference, which is the median of many.
    """
    from django.db import connections

    wrapper = connections["default"]

    def batch(*, leased: bool) -> float:
        wrapper.ensure_connection()
        start = perf_counter()
        for _ in range(BATCH):
            if leased:
                wrapper.close_if_unusable_or_obsolete()  # as Django at a request's end
            query()
        return (perf_counter() - start) / BATCH

    kept, more = [], []
    for _ in range(queries // BATCH):
        kept.append(batch(leased=False))
        more.append(batch(leased=True) - kept[-1])
    median = statistics.median(kept)
    return median, median + statistics.median(more)


def queries_of_many(duration: float) -> float:
    """Return the queries a second of many clients that share the pool."""
    from django.db import connection

    end = perf_counter() + duration
    done = 0

    def client() -> None:
        nonlocal done
        while perf_counter() < end:
            query()
            connection.close_if_unusable_or_obsolete()
            done += 1

    start = perf_counter()
    gevent.joinall([gevent.spawn(client) for _ in range(CLIENTS)], raise_error=True)
    return done / (perf_counter() - start)


def main(peer: str, what: str, amount: str) -> None:
    """Measure one peer, or prepare what is measured."""
    configure(*PEERS[peer])
    if what == "prepare":
        prepare()
    elif what == "one":
        print(*seconds_for_one(int(amount)))  # noqa: T201
    else:
        print(queries_of_many(float(amount)))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
