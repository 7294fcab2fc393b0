"""A leased connection that the server has ended raises the error of Django for that."""

from __future__ import annotations

from contextlib import suppress

import pytest
from django.db import Error, OperationalError, connection, transaction
from django.db.backends.postgresql.psycopg_any import is_psycopg3

from tests.concurrency.db.conftest import query
from tests.helpers import until

pytestmark = pytest.mark.skipif(not is_psycopg3, reason="psycopg2 raises InterfaceError")


@pytest.fixture
def lost(pool, observer):
    """Lease a connection, and have a statement find out that the server has ended it."""
    pool(max_size=1)
    query()
    observer.terminate()
    until(lambda: observer.sessions() == 0, "ended")
    with pytest.raises(OperationalError):
        query()
    yield
    connection.close()


def in_atomic() -> None:
    with transaction.atomic():
        query()


def begin() -> None:
    connection.set_autocommit(False)


def set_isolation_level() -> None:
    with connection.wrap_database_errors:
        connection.connection.isolation_level = None


def set_read_only() -> None:
    with connection.wrap_database_errors:
        connection.connection.read_only = True


@pytest.mark.parametrize("work", [query, in_atomic, begin, set_isolation_level, set_read_only])
def test_work_on_a_lost_connection_raises_operational_error(lost, work):
    """So that code that tries again after it recognises the loss."""
    with pytest.raises(OperationalError):
        work()


def test_a_stream_whose_connection_is_lost_raises(pool, observer):
    """Its reader would take the rows so far for all of them."""
    pool(max_size=1)
    connection.ensure_connection()
    rows = connection.connection.cursor().stream("SELECT generate_series(1, 1000000)")
    assert next(rows) == (1,)
    connection.connection.pgconn.finish()
    with pytest.raises(connection.Database.OperationalError):
        list(rows)
    with suppress(Error):
        connection.close()
