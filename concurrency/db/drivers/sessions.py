"""Which statements change a session beyond their transaction, told by their text.

What happens inside database functions cannot be seen this way; ``keep_lease`` and
``pool={"reset": "always"}`` are for those. A false alarm costs a reset, a miss
would give one holder's settings to the next, so doubt counts as a change.
"""

from __future__ import annotations

import re
from functools import lru_cache

# The beginning of a statement: of the text, or after a semicolon, behind comments. What
# looks like a comment may be one that MySQL executes.
_START = r"(?:\A|;)(?:\s|\(|(?:--|#)[^\n]*\n|/\*M?!\d*|(?>/\*(?!M?!).*?\*/))*"

# An argument of a function: a literal, or what has no comma in it.
_ARGUMENT = r"\s*(?:'(?:[^']|'')*'|%\(\w+\)s|[^,()']+)\s*"

_POSTGRESQL = re.compile(
    rf"{_START}(?:"
    r"SET(?!\s+(?:LOCAL|TRANSACTION|CONSTRAINTS)\b)|RESET|LISTEN|UNLISTEN|LOAD|DECLARE|DISCARD|DO|"
    r"PREPARE(?!\s+TRANSACTION\b)|CREATE\s+(?:\w+\s+){0,3}TEMP(?:ORARY)?)\b"
    r"|\bINTO\s+TEMP(?:ORARY)?\b"
    r"|\bpg_temp\."
    # Not for the transaction alone.
    rf"|\bset_config\s*\((?!{_ARGUMENT},{_ARGUMENT},\s*true\s*\))"
    r"|\bdblink_connect(?:_u)?\s*\("
    r"|\bpg_(?:try_)?advisory_lock(?:_shared)?\s*\(",
    re.IGNORECASE | re.DOTALL,
)

# Parameters with a dot in their names are made by the first that sets them. From then on the
# session answers '' where another one has NULL, whatever resets it.
_PARAMETER = re.compile(
    rf"{_START}SET\s+(?:SESSION\s+)?[\w$\"]+\s*\.|\bset_config\s*\((?!\s*'[^'.]*'\s*,)",
    re.IGNORECASE | re.DOTALL,
)

# Which one is set depends on the arguments of the statement.
_UNNAMED = re.compile(r"\bset_config\s*\((?!\s*'[^']*'\s*,)", re.IGNORECASE)

# SET TRANSACTION is about the next transaction, whoever begins it. CALL binds its
# arguments to user variables.
_MYSQL = re.compile(
    rf"{_START}(?:SET(?!\s+PASSWORD\b)|USE|CALL|PREPARE|EXECUTE\s+IMMEDIATE|BEGIN\s+NOT|"
    r"(?:LOCK|FLUSH)\s+TABLES?|HANDLER|CREATE\s+(?:OR\s+REPLACE\s+)?TEMPORARY)\b"
    r"|\bGET_LOCK\s*\("
    r"|@(?:`[^`]+`|[\w.$'\"]+)\s*:="
    r"|\bINTO\s+@",
    re.IGNORECASE | re.DOTALL,
)

# A pragma with an argument in parentheses sets something, but for those that ask.
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
    """Return whether a statement that changes a session of PostgreSQL may make a parameter."""
    return _PARAMETER.search(sql) is not None


@lru_cache(maxsize=2048)
def names_parameter(sql: str) -> bool:
    """Return whether a statement of PostgreSQL sets the same parameters whenever it runs."""
    return _UNNAMED.search(sql) is None


@lru_cache(maxsize=2048)
def changes_mysql(sql: str) -> bool:
    """Return whether a statement changes a session of MySQL or MariaDB."""
    return _MYSQL.search(sql) is not None


@lru_cache(maxsize=2048)
def changes_sqlite(sql: str) -> bool:
    """Return whether a statement changes a session of SQLite."""
    return _SQLITE.search(sql) is not None
