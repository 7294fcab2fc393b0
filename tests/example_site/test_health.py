"""What a service of tweets says of itself when its database fails it."""

from __future__ import annotations

import json

from django.test import RequestFactory

from example_site.apps.tweets.health import healthcheck


def test_the_health_keeps_the_reason_to_itself() -> None:
    """Without its table, the health is a 500 that says so and no more; the log has the rest."""
    answer = healthcheck(RequestFactory().get("/healthcheck/"))
    assert answer.status_code == 500
    bad = {"status": "nok", "err_msg": "Error accessing DB"}
    assert json.loads(answer.content) == {"status": "nok", "db": bad}
