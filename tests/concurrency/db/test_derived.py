"""Backends that derive from Django's become pooled by a mixin."""

from __future__ import annotations

from concurrency import map_each
from tests.concurrency.db.conftest import query, statistics


def test_a_derived_backend_is_pooled(pool):
    """It leases, lends and sets its sessions up in its own way."""
    pool(max_size=2, ENGINE="tests.concurrency.db.derived")
    names = map_each(lambda _: query("SHOW application_name"), range(10), limit=None)
    assert names == ["derived"] * 10
    assert statistics().open <= 2
    assert statistics().in_use == 0
