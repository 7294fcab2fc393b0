"""Whether user code still has the driver's connection, or a cursor, in its hands.

A wrapper can tell what passes through it. The driver's own objects, once user code has
them, can be kept anywhere: that is told by counting the references to a connection.
"""

from __future__ import annotations

import gc
import sys
from typing import Any
from weakref import ref

# So many cursors are remembered before those that are gone are forgotten.
_MANY = 32


class Cursors(list[ref[Any]]):
    """The cursors of Django that were made on a lease, as far as somebody still has them."""

    __slots__ = ()

    def remember(self, cursor: Any) -> None:
        """Take note of a new one."""
        if len(self) >= _MANY:
            self[:] = [each for each in self if each() is not None][-_MANY // 2 :]
        self.append(ref(cursor))

    def references_of_closed(self, raw: Any) -> int:
        """Return how many references to a connection closed cursors still have.

        They execute nothing, but a variable may keep one for as long as its function runs.
        """
        closed: dict[int, Any] = {}
        for each in self:
            cursor = _of_driver(each())
            if getattr(cursor, "closed", False):
                closed[id(cursor)] = cursor
        return sum(_references(cursor, raw) for cursor in closed.values())


def count(raw: Any) -> int:
    """Return how many references there are to a connection."""
    return sys.getrefcount(raw)


def _of_driver(cursor: Any) -> Any:
    """Return the driver's cursor inside of Django's wrappers."""
    while (inner := getattr(cursor, "cursor", None)) is not None and not callable(inner):
        cursor = inner
    return cursor


def _references(cursor: Any, raw: Any) -> int:
    """Count the references of a cursor to its connection, and of what the cursor is made of."""
    parts = gc.get_referents(cursor)
    mine = sum(part is raw for part in parts)
    inner = [part for part in parts if part is not raw and not isinstance(part, type)]
    return mine + sum(each is raw for part in inner for each in gc.get_referents(part))
