"""What a statement for SQLite will do, told by its text.

A mistake costs time, never data: SQLite's own locks are behind the queue of writers.
"""

from __future__ import annotations

import re
from functools import lru_cache

# Behind comments and white space.
_START = r"\A(?:\s|--[^\n]*\n|/\*.*?\*/)*"

_WRITES = re.compile(
    rf"{_START}(?:"
    r"INSERT|UPDATE|DELETE|REPLACE|CREATE|DROP|ALTER|REINDEX|VACUUM|ANALYZE|"
    r"BEGIN\s+(?:IMMEDIATE|EXCLUSIVE)|"
    r"WITH\b.*\b(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM|REPLACE\s+INTO))\b",
    re.IGNORECASE | re.DOTALL,
)
_ENDS_TRANSACTION = re.compile(
    rf"{_START}(?:COMMIT|END|RELEASE|ROLLBACK)\b(?!.*\bTO\b)", re.IGNORECASE | re.DOTALL
)
_UNDOES = re.compile(rf"{_START}ROLLBACK\b", re.IGNORECASE | re.DOTALL)


@lru_cache(maxsize=2048)
def writes(sql: str) -> bool:
    """Return whether a statement takes the lock that only one connection can have."""
    return _WRITES.match(sql) is not None


@lru_cache(maxsize=2048)
def ends_transaction(sql: str) -> bool:
    """Return whether there may be no transaction any more after a statement, as intended."""
    return _ENDS_TRANSACTION.match(sql) is not None


@lru_cache(maxsize=2048)
def undoes(sql: str) -> bool:
    """Return whether a statement rolls back, a transaction or to a savepoint."""
    return _UNDOES.match(sql) is not None
