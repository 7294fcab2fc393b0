"""Cursors on the server of PostgreSQL belong to one greenlet each, and can be killed."""

from __future__ import annotations

from contextlib import nullcontext

import gevent
import pytest
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connection, transaction

from concurrency import map_each
from tests.concurrency.db.conftest import query, statistics
from tests.concurrency.db.drivers.postgresql.work import is_asleep
from tests.helpers import until


def test_iterators_of_many_greenlets_do_not_mix(pool, target):
    """Each fetches from its own cursor, batch by batch."""
    call_command("migrate", verbosity=0)
    all_of_them = list(ContentType.objects.order_by("pk"))

    def iterate(descending: bool) -> bool:
        rows = []
        for row in ContentType.objects.order_by("-pk" if descending else "pk").iterator(1):
            rows.append(row)
            gevent.sleep(0)
        return rows == (all_of_them[::-1] if descending else all_of_them)

    assert map_each(iterate, [False, True] * 4, limit=8) == [True] * 8
    until(lambda: statistics().in_use == 1)


@pytest.mark.parametrize("in_transaction", [False, True])
def test_a_cursor_on_the_server_can_be_killed(pool, observer, in_transaction, target):
    """Declared or in the middle of a fetch: the next holder finds no cursor, no transaction."""
    pool(max_size=1)
    sql = "SELECT pg_sleep(CASE WHEN i > 5 THEN 30 ELSE 0 END) FROM generate_series(1, 9) i"

    def fetch() -> None:
        begun = transaction.atomic() if in_transaction else nullcontext()
        with begun, connection.chunked_cursor() as cursor:
            cursor.execute(sql)
            for _ in range(9):
                cursor.fetchmany(1)

    killed = gevent.spawn(fetch)
    until(lambda: is_asleep(observer))
    killed.kill(timeout=5)
    assert query("SELECT count(*) FROM pg_cursors") == 0
    assert observer.running("sleep") == observer.in_transaction() == 0
