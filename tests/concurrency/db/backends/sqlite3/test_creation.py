"""Databases of SQLite in memory, and those that Django's test runner creates."""

from __future__ import annotations

import sqlite3

import pytest
from django.contrib.auth.models import Group
from django.db import connections

from concurrency import map_each
from concurrency.db.pool import registry
from tests.concurrency.db.drivers.sqlite.lite import ALIAS, atomic, close, query


@pytest.mark.parametrize("name", [":memory:", "file:shared?mode=memory&cache=shared"])
def test_a_database_in_memory_is_one_for_all(lite, name):
    """Every greenlet sees the same rows, and they outlive all connections of the pool."""
    lite(name)
    query("DELETE FROM t")
    map_each(lambda x: query("INSERT INTO t VALUES (%s)", x), range(50), limit=50)
    close()
    registry.forget(ALIAS)
    assert query("SELECT count(*) FROM t") == 50
    query("DROP TABLE t")


def test_a_database_in_memory_ignores_a_close_inside_atomic(lite):
    """As in Django, where a test case is one transaction."""
    lite(":memory:")
    with atomic():
        query("INSERT INTO t VALUES (1)")
        connections[ALIAS].close()
        assert query("SELECT count(*) FROM t") == 1
    query("DROP TABLE t")


def test_a_test_database_in_a_file_is_made_and_destroyed(lite, tmp_path):
    """Twice in a row it starts empty, and nothing of it is left."""
    wrapper = connections[ALIAS]
    name = wrapper.settings_dict["NAME"]
    wrapper.settings_dict["TEST"]["NAME"] = str(tmp_path / "test.sqlite3")
    for _ in range(2):
        wrapper.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
        assert query("SELECT count(*) FROM auth_group") == 0
        Group.objects.using(ALIAS).create(name="one")
        assert map_each(lambda _: query("SELECT name FROM auth_group"), [1], limit=1) == ["one"]
        wrapper.creation.destroy_test_db(name, verbosity=0)
        assert wrapper.settings_dict["NAME"] == name
    assert not list(tmp_path.glob("test.sqlite3*"))
    assert query("SELECT count(*) FROM t") == 0


def test_a_test_database_in_memory_is_made_and_left(lite):
    """As in Django it is still there when it is made again."""
    wrapper = connections[ALIAS]
    name = wrapper.settings_dict["NAME"]
    for expected in (0, 1):
        wrapper.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
        assert wrapper.is_in_memory_db()
        assert query("SELECT count(*) FROM auth_group") == expected
        Group.objects.using(ALIAS).create(name=f"group {expected}")
        assert map_each(lambda _: query("SELECT count(*) FROM auth_group"), [1], limit=1) == [
            expected + 1
        ]
        wrapper.creation.destroy_test_db(name, verbosity=0)
    assert query("SELECT count(*) FROM t") == 0


def test_a_copy_of_a_test_database_has_what_was_written(lite, tmp_path):
    """Also what was in the write-ahead log alone."""
    query("INSERT INTO t VALUES (1)")
    wrapper = connections[ALIAS]
    wrapper.creation.clone_test_db(suffix="2", verbosity=0)
    with sqlite3.connect(tmp_path / "lite_2.sqlite3") as copy:
        assert copy.execute("SELECT count(*) FROM t").fetchone() == (1,)
    copy.close()
