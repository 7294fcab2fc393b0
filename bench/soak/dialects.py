"""What the traffic says to each database, where they differ."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """Statements of one database.

    Attributes:
        engine: Django's name of the backend.
        nap: takes about a twentieth of a second on the server.
        rows: gives a thousand rows.
        look: tells what ``change`` has left in the session; None where there is nothing.
        change: leaves something in the session.
        others: tells a session of somebody else; None where there are none.
        end: ends that session.
    """

    engine: str
    nap: str
    rows: str
    look: str | None = None
    change: str = ""
    others: str | None = None
    end: str = ""


_POSTGRESQL = Dialect(
    engine="concurrency.db.backends.postgresql",
    nap="SELECT pg_sleep(0.05)",
    rows="SELECT generate_series(1, 1000)",
    look="SELECT current_setting('soak.mine', true)",
    change="SELECT set_config('soak.mine', 'here', false)",
    others=(
        "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
        "AND application_name = current_setting('application_name') ORDER BY random() LIMIT 1"
    ),
    end="SELECT pg_terminate_backend(%s)",
)

DIALECTS = {
    "psycopg3": _POSTGRESQL,
    "psycopg2": _POSTGRESQL,
    "pymysql": Dialect(
        engine="concurrency.db.backends.mysql",
        nap="SELECT SLEEP(0.05)",
        rows="SELECT seq FROM seq_1_to_1000",
        look="SELECT @mine",
        change="SET @mine = 'here'",
        others=(
            "SELECT id FROM information_schema.processlist WHERE id <> CONNECTION_ID() "
            "AND db IS NOT NULL ORDER BY RAND() LIMIT 1"
        ),
        end="KILL %s",
    ),
    "sqlite": Dialect(
        engine="concurrency.db.backends.sqlite3",
        nap=(
            "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 100000) "
            "SELECT count(*) FROM c"
        ),
        rows=(
            "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 1000) "
            "SELECT n FROM c"
        ),
    ),
}
