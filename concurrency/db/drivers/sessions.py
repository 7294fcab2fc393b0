"""Recognises, by their text, statements that change a session beyond their transaction.

Changes made inside database functions are not visible here; use ``keep_lease`` or
``pool={"reset": "always"}`` for those. A false positive costs a reset. A miss would pass
one holder's settings on to the next, so a doubtful statement counts as a change.
"""

from __future__ import annotations

import re
from functools import lru_cache

# The beginning of a statement: at the start or after a semicolon, then any comments.
# MySQL executes some comments.
_START = r"(?:\A|;)(?:\s|\(|(?:--|#)[^\n]*\n|/\*M?!\d*|(?>/\*(?!M?!).*?\*/))*"

# An argument of a function: a literal, or any text without a comma.
_ARGUMENT = r"\s*(?:'(?:[^']|'')*'|%\(\w+\)s|[^,()']+)\s*"

_POSTGRESQL = re.compile(
    rf"{_START}(?:"
    r"SET(?!\s+(?:LOCAL|TRANSACTION|CONSTRAINTS)\b)|RESET|LISTEN|UNLISTEN|LOAD|DECLARE|DISCARD|DO|"
    r"PREPARE(?!\s+TRANSACTION\b)|CREATE\s+(?:\w+\s+){0,3}TEMP(?:ORARY)?)\b"
    r"|\bINTO\s+TEMP(?:ORARY)?\b"
    r"|\bpg_temp\."
    # set_config() that is not limited to the transaction.
    rf"|\bset_config\s*\((?!{_ARGUMENT},{_ARGUMENT},\s*true\s*\))"
    r"|\bdblink_connect(?:_u)?\s*\("
    r"|\bpg_(?:try_)?advisory_lock(?:_shared)?\s*\(",
    re.IGNORECASE | re.DOTALL,
)

# The first SET of a parameter with a dot in its name creates it. From then on the session
# returns '' where another one returns NULL, even after a reset.
_PARAMETER = re.compile(
    rf"{_START}SET\s+(?:SESSION\s+)?[\w$\"]+\s*\.|\bset_config\s*\((?!\s*'[^'.]*'\s*,)",
    re.IGNORECASE | re.DOTALL,
)

# The arguments of the statement decide which parameter it sets.
_UNNAMED = re.compile(r"\bset_config\s*\((?!\s*'[^']*'\s*,)", re.IGNORECASE)

# SET TRANSACTION applies to the next transaction of the session. CALL binds its
# arguments to user variables.
_MYSQL = re.compile(
    rf"{_START}(?:SET(?!\s+PASSWORD\b)|USE|CALL|PREPARE|EXECUTE\s+IMMEDIATE|BEGIN\s+NOT|"
    r"(?:LOCK|FLUSH)\s+TABLES?|HANDLER|CREATE\s+(?:OR\s+REPLACE\s+)?TEMPORARY)\b"
    r"|\bGET_LOCK\s*\("
    r"|@(?:`[^`]+`|[\w.$'\"]+)\s*:="
    r"|\bINTO\s+@",
    re.IGNORECASE | re.DOTALL,
)

# A pragma with an argument in parentheses sets a value, except for these queries.
_ASKING = "(?:table|index|foreign_key|integrity|quick)_|wal_checkpoint|optimize|incremental_vacuum"
_SQLITE = re.compile(
    rf"{_START}(?:PRAGMA\s+(?:\w+\.)?(?:\w+\s*=|(?!{_ASKING})\w+\s*\()|"
    r"(?:ATTACH|DETACH|CREATE\s+TEMP(?:ORARY)?)\b)"
    r"|\b(?:temp|\"temp\")\s*\.|\bload_extension\s*\(",
    re.IGNORECASE | re.DOTALL,
)


@lru_cache(maxsize=2048)
def changes_postgresql(sql: str) -> bool:
    """Return whether a statement changes a session of PostgreSQL."""
    return _POSTGRESQL.search(sql) is not None


@lru_cache(maxsize=2048)
def makes_parameter(sql: str) -> bool:
    """Return whether a statement that changes a PostgreSQL session may create a parameter."""
    return _PARAMETER.search(sql) is not None


@lru_cache(maxsize=2048)
def names_parameter(sql: str) -> bool:
    """Return whether a PostgreSQL statement sets the same parameters each time it runs."""
    return _UNNAMED.search(sql) is None


@lru_cache(maxsize=2048)
def changes_mysql(sql: str) -> bool:
    """Return whether a statement changes a session of MySQL or MariaDB."""
    return _MYSQL.search(sql) is not None


@lru_cache(maxsize=2048)
def changes_sqlite(sql: str) -> bool:
    """Return whether a statement changes a session of SQLite."""
    return _SQLITE.search(sql) is not None
