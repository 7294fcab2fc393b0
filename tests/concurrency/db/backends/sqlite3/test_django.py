"""What Django's documentation says of its backend for SQLite holds for this one."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import DatabaseError, IntegrityError, connections, transaction

from tests.concurrency.db.drivers.sqlite.lite import ALIAS, Make, atomic, query


@pytest.fixture
def migrated(lite: Make) -> None:
    """The tables of users and permissions."""
    call_command("migrate", "auth", database=ALIAS, verbosity=0)


@pytest.mark.slow
def test_djangos_own_tables(migrated):
    """Migrations, queries over relations, bulk insertion, deletion, aggregation."""
    assert Permission.objects.using(ALIAS).count() > 0
    groups = Group.objects.using(ALIAS)
    groups.bulk_create(Group(name=f"g{x}") for x in range(300))
    user = User.objects.db_manager(ALIAS).create_user("somebody")
    user.groups.set(groups.filter(name__startswith="g1"))
    assert groups.filter(user=user).count() == 111
    assert sorted(each.pk for each in groups.iterator(chunk_size=50)) == list(range(1, 301))
    assert groups.select_for_update().get(name="g7").name == "g7"
    assert groups.filter(name__regex="^g2.$").delete()[0] == 10
    assert ContentType.objects.using(ALIAS).get(model="group").app_label == "auth"


@pytest.mark.slow
def test_foreign_keys_are_checked(migrated):
    """At the end of a transaction; the schema editor may break them meanwhile."""
    with pytest.raises(IntegrityError), atomic():
        query("INSERT INTO auth_group_permissions (group_id, permission_id) VALUES (9999, 1)")
    wrapper = connections[ALIAS]
    with wrapper.schema_editor() as editor:
        editor.execute(
            "INSERT INTO auth_group_permissions (group_id, permission_id) VALUES (9999, 1)"
        )
        editor.execute("DELETE FROM auth_group_permissions")
    assert query("SELECT count(*) FROM auth_group_permissions") == 0
    assert query("PRAGMA foreign_keys") == 1


@pytest.mark.slow
def test_tables_can_be_inspected(migrated):
    """``inspectdb`` writes the models of the tables."""
    out = io.StringIO()
    call_command("inspectdb", "auth_group", database=ALIAS, stdout=out)
    assert "class AuthGroup(models.Model)" in out.getvalue()


def test_hooks_run_after_the_commit(lite):
    """``on_commit`` once and in order, and not after a rollback."""
    seen: list[object] = []
    with atomic():
        transaction.on_commit(lambda: seen.append(query("SELECT count(*) FROM t")), using=ALIAS)
        query("INSERT INTO t VALUES (1)")
        with pytest.raises(ValueError, match="back"), atomic():
            transaction.on_commit(lambda: seen.append("never"), using=ALIAS)
            raise ValueError("back")
    assert seen == [1]


def test_an_error_inside_a_savepoint_goes_back_to_it(lite):
    """What failed is undone alone."""
    query("CREATE UNIQUE INDEX only_once ON t (x)")
    with atomic():
        query("INSERT INTO t VALUES (1)")
        with pytest.raises(IntegrityError), atomic():
            query("INSERT INTO t VALUES (2)")
            query("INSERT INTO t VALUES (1)")
        query("INSERT INTO t VALUES (3)")
    assert query("SELECT group_concat(x) FROM t") == "1,3"


def test_an_error_of_the_database_is_djangos(lite):
    """What is no kill is not touched."""
    with pytest.raises(DatabaseError, match="no such table"):
        query("SELECT * FROM missing")
    assert query() == 1


UNPATCHED = """
import sqlite3, sys
from django.conf import settings
settings.configure(DATABASES={"default": {"ENGINE": "concurrency.db.backends.sqlite3",
                                          "NAME": sys.argv[1], "OPTIONS": {"pool": {}}}})
from django.db import connection, transaction
connection.ensure_connection()
with transaction.atomic():
    pass
print(type(connection.connection) is sqlite3.Connection, connection.transaction_mode,
      connection.connection.execute("PRAGMA journal_mode").fetchone()[0])
"""


@pytest.mark.slow
def test_in_a_process_that_is_not_patched_it_is_djangos_backend(tmp_path):
    """No threads, no pool, no other mode of transactions or of the file."""
    done = subprocess.run(
        [sys.executable, "-c", UNPATCHED, str(tmp_path / "x.sqlite3")],
        env={**os.environ, "CONCURRENCY_PATCH": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "True None delete\n"
