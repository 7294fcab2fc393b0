"""Predicts from its text what a statement for SQLite will do.

A mistake costs time, never data: SQLite's own locks apply behind the queue of writers.
"""

from __future__ import annotations

import re
from functools import lru_cache

# After comments and white space.
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
    """Return whether a statement takes the write lock, which one connection can have."""
    return _WRITES.match(sql) is not None


@lru_cache(maxsize=2048)
def ends_transaction(sql: str) -> bool:
    """Return whether a statement may end the transaction on purpose."""
    return _ENDS_TRANSACTION.match(sql) is not None


@lru_cache(maxsize=2048)
def undoes(sql: str) -> bool:
    """Return whether a statement rolls back a transaction, or back to a savepoint."""
    return _UNDOES.match(sql) is not None
