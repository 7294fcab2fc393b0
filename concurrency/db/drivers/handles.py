"""Detects whether user code still holds the driver's connection, or a cursor.

Such a handle can outlive its lease. It must then execute nothing on the connection, which
may already be leased to another greenlet.

A wrapper sees the cursors that it creates. User code can keep the driver's own objects
anywhere; the reference count of a connection shows whether it does.
"""

from __future__ import annotations

import gc
import sys
from typing import Any
from weakref import ref

from gevent import getcurrent

# With this many cursors remembered, the references to collected ones are dropped.
_MANY = 32


class Cursors(list[ref[Any]]):
    """Weak references to the cursors that Django has made on a lease."""

    __slots__ = ()

    def remember(self, cursor: Any) -> None:
        """Add a new cursor."""
        if len(self) >= _MANY:
            self[:] = [each for each in self if each() is not None][-_MANY // 2 :]
        self.append(ref(cursor))

    def references_of_closed(self, raw: Any) -> int:
        """Return how many references to a connection are held by closed cursors.

        A closed cursor executes nothing, but a variable can keep it while its function runs.
        """
        closed: dict[int, Any] = {}
        for each in self:
            cursor = _of_driver(each())
            if getattr(cursor, "closed", False):
                closed[id(cursor)] = cursor
        return sum(_references(cursor, raw) for cursor in closed.values())


class Guard:
    """Decides which greenlet may execute on a connection while old handles exist.

    Attributes:
        lease: the current lease, None while the pool has the connection.
        is_wanted: whether user code has kept a handle from an earlier lease.
    """

    __slots__ = ("_keeper", "is_wanted", "lease")

    def __init__(self) -> None:
        self.lease: Any = None
        self.is_wanted = False
        self._keeper: Any = None

    def keep(self) -> None:
        """Let the current greenlet, one of the pool's, work on the connection."""
        self._keeper = ref(getcurrent())

    def check(self, kind: type[Exception]) -> None:
        """Raise if the handle in use has outlived its lease.

        Args:
            kind: the driver's ``InterfaceError``.
        """
        lease, current = self.lease, getcurrent()
        if lease is None:
            if self._keeper is not None and self._keeper() is current:
                return
        elif lease.owner() is current or lease.is_open():
            return
        raise kind(
            "this connection was given back and is not this greenlet's any more: ask "
            "connection.connection or connection.cursor() again after a wait or the end of a "
            "request, or keep the connection inside `with keep_lease():`"
        )


#: Returns the number of references to a connection.
count = sys.getrefcount


def _of_driver(cursor: Any) -> Any:
    """Return the driver's cursor inside Django's wrappers."""
    while (inner := getattr(cursor, "cursor", None)) is not None and not callable(inner):
        cursor = inner
    return cursor


def _references(cursor: Any, raw: Any) -> int:
    """Count a cursor's references to its connection, including those of its parts."""
    parts = gc.get_referents(cursor)
    mine = sum(part is raw for part in parts)
    inner = [part for part in parts if part is not raw and not isinstance(part, type)]
    return mine + sum(each is raw for part in inner for each in gc.get_referents(part))
