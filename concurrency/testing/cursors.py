"""Cursors each statement of which is a turn, and how an object gets another class."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from django.db.backends.utils import CursorWrapper

# Of a cursor on the server each of them is a statement.
_FETCHING = frozenset({"close", "fetchall", "fetchmany", "fetchone", "scroll"})


class _InTurns(CursorWrapper):  # type: ignore[misc]
    """Mixin for Django's cursor wrappers: each statement is a turn."""

    def _execute(self, *args: Any) -> Any:
        with self.db.turn():
            return super()._execute(*args)

    def _executemany(self, *args: Any) -> Any:
        with self.db.turn():
            return super()._executemany(*args)

    def callproc(self, *args: Any, **kwargs: Any) -> Any:
        with self.db.turn():
            return super().callproc(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        found = super().__getattr__(name)
        if name not in _FETCHING or not getattr(self.cursor, "name", None):
            return found

        def fetch(*args: Any, **kwargs: Any) -> Any:
            with self.db.turn():
                return found(*args, **kwargs)

        return fetch

    def __iter__(self) -> Iterator[Any]:
        if not getattr(self.cursor, "name", None):
            yield from super().__iter__()
            return
        while rows := self.fetchmany(self.cursor.itersize):
            yield from rows


@cache
def _mixed(mixin: Any, kind: Any) -> type:
    return type(kind.__name__, (mixin, kind), {"plain": kind})


def change_class(thing: Any, mixin: type) -> None:
    """Put a mixin before the class of an object."""
    kind: Any = type(thing)
    thing.__class__ = _mixed(mixin, kind)


def restore_class(thing: Any) -> None:
    """Take the mixin away again."""
    thing.__class__ = type(thing).plain


def in_turns(cursor: Any) -> Any:
    """Return a cursor wrapper of Django's each statement of which is a turn."""
    change_class(cursor, _InTurns)
    return cursor
