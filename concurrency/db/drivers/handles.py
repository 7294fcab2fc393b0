"""Whether user code still has the driver's connection, or a cursor, in its hands.

Such a handle may outlive its lease: then it must not execute anything on a connection that
is somebody else's by now.

A wrapper can tell what passes through it. The driver's own objects, once user code has
them, can be kept anywhere: that is told by counting the references to a connection.
"""

from __future__ import annotations

import gc
import sys
from typing import Any
from weakref import ref

from gevent import getcurrent

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


class Guard:
    """Who may execute on a connection; asked by its driver's class while a handle is about.

    Attributes:
        lease: the current one, None while the pool has the connection.
        is_wanted: whether user code has kept a handle from an earlier lease.
    """

    __slots__ = ("_keeper", "is_wanted", "lease")

    def __init__(self) -> None:
        self.lease: Any = None
        self.is_wanted = False
        self._keeper: Any = None

    def keep(self) -> None:
        """Let the current greenlet, which is the pool's, work on the connection."""
        self._keeper = ref(getcurrent())

    def check(self, kind: type[Exception]) -> None:
        """Raise if a handle is used that has outlived its lease.

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


#: Returns how many references there are to a connection.
count = sys.getrefcount


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
