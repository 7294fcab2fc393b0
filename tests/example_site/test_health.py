"""What a service of tweets says of itself when its database fails it."""

from __future__ import annotations

import json

from django.db import connections, router, transaction
from django.test import RequestFactory

from example_site.apps.tweets.health import healthcheck
from example_site.apps.tweets.models import Tweet


def test_the_health_keeps_the_reason_to_itself() -> None:
    """Without its table, the health is a 500 that says so and no more; the log has the rest."""
    alias = router.db_for_read(Tweet)
    with transaction.atomic(using=alias):
        with connections[alias].cursor() as cursor:
            # Other tests may have made it.
            cursor.execute(f"DROP TABLE IF EXISTS {Tweet._meta.db_table} CASCADE")
        answer = healthcheck(RequestFactory().get("/healthcheck/"))
        transaction.set_rollback(True, using=alias)
    assert answer.status_code == 500
    bad = {"status": "nok", "err_msg": "Error accessing DB"}
    assert json.loads(answer.content) == {"status": "nok", "db": bad}
