"""What the tests of PyMySQL ask of the session under test."""

from __future__ import annotations

from django.db import connection
from pymysql.cursors import SSCursor

BIG = "SELECT seq, REPEAT('x', 1000) FROM seq_1_to_1000000"


def status(name, convert=int):
    """Return what the server counts for this session."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW SESSION STATUS LIKE %s", [name])
        return convert(cursor.fetchone()[1])


def stream(sql: str):
    """Return a cursor that leaves its rows on the server."""
    connection.ensure_connection()
    cursor = connection.connection.cursor(SSCursor)
    cursor.execute(sql)
    return cursor


INIT = {"init_command": "SET @greeting = 'hello'", "isolation_level": "repeatable read"}
