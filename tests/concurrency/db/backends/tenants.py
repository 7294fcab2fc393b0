"""Tenants that take turns on few connections: what each reads must be its own, always.

Run in a process of its own, as django-tenants reads settings while it is imported.
``python -m tests.concurrency.db.backends.tenants URL KIND SWITCHES`` prints how many answers were
checked; it ends with an error when one was another tenant's.
"""

from __future__ import annotations

# isort: off
import concurrency.patch  # noqa: F401 - before all that it patches

# isort: on
import random
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlsplit

import django
import gevent
from django.conf import settings
from django.db import DatabaseError, close_old_connections, connection, transaction
from gevent.pool import Group

from concurrency import deadline, gather
from concurrency.db import pool_statistics
from concurrency.errors import DeadlineExceeded

TENANTS = ("alpha", "beta")
WORKERS = 12
LIMITED = "django_tenants, limited"
KINDS = ("django_tenants", LIMITED, "set_local", "set_role", "set_config", "set")

# The role of the pool owns the tables, so their policies have to bind owners, too.
SCHEMA = """
DROP SCHEMA IF EXISTS alpha CASCADE; DROP SCHEMA IF EXISTS beta CASCADE;
DROP TABLE IF EXISTS rows;
CREATE TABLE rows (owner text, note text);
INSERT INTO rows VALUES ('alpha', 'alpha'), ('beta', 'beta');
ALTER TABLE rows ENABLE ROW LEVEL SECURITY;
ALTER TABLE rows FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON rows
    USING (owner = coalesce(nullif(current_setting('app.tenant', true), ''), current_user));
"""
IN_SCHEMA = """
CREATE SCHEMA {0}; CREATE TABLE {0}.rows (owner text); INSERT INTO {0}.rows VALUES ('{0}');
"""


def configure(url: str, kind: str) -> None:
    """Set Django up for one kind of tenants, on a pool that is smaller than the crowd."""
    parts = urlsplit(url)
    of_tenants = kind.startswith("django_tenants")
    engine = "django_tenants.postgresql_backend" if of_tenants else OURS
    settings.configure(
        DATABASES={
            "default": {
                "ENGINE": engine,
                "NAME": parts.path[1:],
                "USER": parts.username,
                "PASSWORD": unquote(parts.password or ""),
                "HOST": parts.hostname,
                "PORT": parts.port,
                "OPTIONS": {"pool": {"max_size": 3, "timeout": 30.0}},
            }
        },
        ORIGINAL_BACKEND=OURS,
        TENANT_LIMIT_SET_CALLS=kind == LIMITED,
        TENANT_MODEL="x.X",
        TENANT_DOMAIN_MODEL="x.Y",
        DATABASE_ROUTERS=["django_tenants.routers.TenantSyncRouter"] if of_tenants else [],
        INSTALLED_APPS=["concurrency", "django.contrib.contenttypes"],
        SECRET_KEY="x",
        USE_TZ=True,
    )
    django.setup()


OURS = "concurrency.db.backends.postgresql"


def prepare() -> None:
    """Make the tables of both tenants; their roles are there."""
    with connection.cursor() as cursor:
        cursor.execute(SCHEMA)
        for tenant in TENANTS:
            cursor.execute(IN_SCHEMA.format(tenant))
            cursor.execute(f"GRANT SELECT ON public.rows TO {tenant}")
    connection.close()


def owners(cursor: Any) -> set[str]:
    cursor.execute("SELECT owner FROM rows")
    return {owner for (owner,) in cursor.fetchall()}


# How a tenant reads; each returns the owners of what it has seen.


def by_schema(tenant: str) -> set[str]:
    """django-tenants: by the search_path, at times below Django's cursors."""
    connection.set_schema(tenant)  # type: ignore[attr-defined]
    way = random.randrange(4)
    if way == 0:
        with connection.chunked_cursor() as cursor:
            return owners(cursor)
    if way == 1:
        with transaction.atomic(), connection.cursor() as cursor:
            seen = owners(cursor)
        close_old_connections()
        with connection.cursor() as cursor:
            return seen | owners(cursor)
    if way == 2:
        with connection.cursor() as cursor:
            seen = owners(cursor)
        gather(lambda: None)  # lends what is not bound
        with connection.cursor() as cursor:
            return seen | owners(cursor)
    with connection.cursor() as cursor:
        return owners(cursor)


def by_set_local(tenant: str) -> set[str]:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL app.tenant = '{tenant}'")
        return owners(cursor)


def by_set_config(tenant: str) -> set[str]:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('app.tenant', %s, true)", [tenant])
        return owners(cursor)


def by_set(tenant: str) -> set[str]:
    connection.ensure_connection()
    connection.connection.execute(f"SET app.tenant = '{tenant}'")
    gather(lambda: None)
    with connection.cursor() as cursor:
        return owners(cursor)


def by_set_role(tenant: str) -> set[str]:
    connection.ensure_connection()
    connection.connection.cursor().execute(f"SET ROLE {tenant}")
    gather(lambda: None)
    with connection.cursor() as cursor:
        return owners(cursor)


READ: dict[str, Callable[[str], set[str]]] = {
    "django_tenants": by_schema,
    LIMITED: by_schema,
    "set_local": by_set_local,
    "set_role": by_set_role,
    "set_config": by_set_config,
    "set": by_set,
}


class Crowd:
    """Greenlets that read for one tenant after the other, some of which are killed."""

    def __init__(self, kind: str, switches: int) -> None:
        self.read = READ[kind]
        self.is_bare_empty = not kind.startswith("django_tenants")
        self.left = switches
        self.checked = self.cut = 0
        self.wrong: list[Any] = []

    def work(self) -> None:
        while self.left > 0 and not self.wrong:
            self.left -= 1
            tenant = random.choice(TENANTS)
            try:
                self.check(tenant)
            except (DatabaseError, DeadlineExceeded):
                self.cut += 1
            finally:
                connection.close()

    def check(self, tenant: str) -> None:
        limit = random.choice((*[None] * 6, 0.002, 0.005))
        with deadline(limit or 60.0):
            seen = self.read(tenant)
        if seen != {tenant}:
            self.wrong.append((tenant, seen))
        if self.is_bare_empty:
            connection.close()
            with connection.cursor() as cursor:
                seen = owners(cursor)
            if seen:
                self.wrong.append(("nobody", seen))
        self.checked += 1

    def run(self) -> None:
        """Keep so many at work until all switches are made, and kill one now and then."""
        group = Group()
        while self.left > 0 and not self.wrong:
            while len(group) < WORKERS:
                group.spawn(self.work)
            gevent.sleep(0.02)
            if alive := list(group):  # on a fast machine all may be done
                random.choice(alive).kill(block=False)
        group.join()


def main(url: str, kind: str, switches: str) -> int:
    """Run a crowd; return the exit code."""
    configure(url, kind)
    prepare()
    crowd = Crowd(kind, int(switches))
    crowd.run()
    numbers = pool_statistics()["default"]
    print(f"{crowd.checked} checked, {crowd.cut} cut, {numbers}")  # noqa: T201
    if crowd.wrong:
        print("WRONG", crowd.wrong[:5])  # noqa: T201
    return 1 if crowd.wrong or not crowd.checked or numbers.in_use else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
