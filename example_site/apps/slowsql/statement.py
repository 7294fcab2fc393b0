"""The one slow SQL statement, for each kind of database.

It sleeps *in the database* and computes there too, so that what is measured is
a real wait for a server. Does not depend on HTTP.
"""

from __future__ import annotations

from django.db import connection

__all__ = ["square_slowly"]

# They run a function without a table; its value, 0, is not looked at.
_SLEEP_BESIDE = "SELECT %(x)s * %(x)s, sleep(%(seconds)s)"
# PostgreSQL sleeps in epoll_wait(2), for which Linux may take a thousandth longer, 5 ms of 5 s:
# most of the time first, then what is left of it since the statement began.
_SLEEP_TWICE = (
    "SELECT %(x)s::bigint * %(x)s::bigint, pg_sleep(%(seconds)s * 0.95), pg_sleep(%(seconds)s"
    " - extract(epoch FROM clock_timestamp() - statement_timestamp())::float8)"
)
_STATEMENTS = {"postgresql": _SLEEP_TWICE, "mysql": _SLEEP_BESIDE, "sqlite": _SLEEP_BESIDE}


def square_slowly(x: int, seconds: float) -> int:
    """Return ``x`` squared, computed by the default database after it slept.

    Args:
        x: the number, at most 10^9 either way, so that the square fits 64 bits.
        seconds: how long the statement sleeps.

    Raises:
        DatabaseError: the statement failed, or no connection was to be had.
    """
    with connection.cursor() as cursor:
        cursor.execute(_STATEMENTS[connection.vendor], {"x": x, "seconds": seconds})
        return cursor.fetchone()[0]
