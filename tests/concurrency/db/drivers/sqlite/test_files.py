"""Files of SQLite that are new, replaced, read-only or missing."""

from __future__ import annotations

import sqlite3

import pytest
from django.db import OperationalError, connections

from concurrency import map_each
from tests.concurrency.db.drivers.sqlite.lite import ALIAS, close, query


def test_a_replaced_file_is_noticed(lite, tmp_path):
    """Who gets a connection next reads the file that is there now."""
    query("INSERT INTO t VALUES (1)")
    close()
    for old in tmp_path.glob("lite.sqlite3*"):
        old.unlink()
    with sqlite3.connect(tmp_path / "lite.sqlite3") as made:
        made.execute("CREATE TABLE t (x integer)")
    made.close()
    assert query("SELECT count(*) FROM t") == 0


@pytest.mark.slow
def test_a_file_that_cannot_be_opened_is_an_error_of_django(lite, tmp_path):
    """The error of an attempt reaches all who wait for it, and the next attempt may succeed."""
    connections[ALIAS].settings_dict["NAME"] = str(tmp_path / "nowhere" / "x.sqlite3")
    close()
    with pytest.raises(OperationalError, match="unable to open"):
        query()
    errors = map_each(lambda _: query(), range(20), limit=None, return_exceptions=True)
    assert {type(error) for error in errors} == {OperationalError}
    (tmp_path / "nowhere").mkdir()
    assert map_each(lambda _: query(), range(20), limit=None) == [1] * 20


@pytest.mark.slow
def test_a_rush_at_a_new_file(lite, tmp_path):
    """Those who open it while another one turns write-ahead logging on do not fail."""
    for number in range(10):
        close()
        connections.settings[ALIAS]["NAME"] = str(tmp_path / f"{number}.sqlite3")
        assert map_each(lambda _: query(), range(20), limit=None) == [1] * 20


def test_a_read_only_database_is_read(lite, tmp_path):
    """Write-ahead logging is for files that can be written."""
    path = tmp_path / "fixed.sqlite3"
    with sqlite3.connect(path) as made:
        made.execute("CREATE TABLE t (x integer)")
    made.close()
    lite(f"file:{path}?mode=ro")
    assert query("SELECT count(*) FROM t") == 0
    assert query("PRAGMA journal_mode") == "delete"
