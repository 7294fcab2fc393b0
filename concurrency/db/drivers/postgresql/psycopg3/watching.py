"""Cursors and adapters of psycopg 3 that report a holder's changes to their connection."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.adapt import AdaptersMap
from psycopg.types import TypesRegistry

from concurrency.db.drivers.watching import Changes

_Cursor: Any = psycopg.Cursor


class _Watched(_Cursor):  # type: ignore[misc]
    """Mixin for a class of cursors: checks statements before they run."""

    __slots__ = ()

    def execute(self, query: Any, *args: Any, **kwargs: Any) -> Any:
        connection = self._conn
        connection.watch(query)
        connection.is_watched = True
        try:
            return super().execute(query, *args, **kwargs)
        except psycopg.errors.FeatureNotSupported:
            # Once the type of its result has changed, for example in a migration, a prepared
            # statement fails each time with this error. A reset of the session drops it.
            connection.tainted = True
            raise
        finally:
            connection.is_watched = False

    def executemany(self, query: Any, params_seq: Iterable[Any], **kwargs: Any) -> None:
        connection = self._conn
        connection.watch(query)
        connection.is_watched = True
        try:
            super().executemany(query, params_seq, **kwargs)
        finally:
            connection.is_watched = False

    def stream(self, query: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
        connection = self._conn
        connection.watch(query)
        connection.is_watched = True
        try:
            yield from super().stream(query, *args, **kwargs)
        finally:
            connection.is_watched = False

    @contextmanager
    def copy(self, statement: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
        connection = self._conn
        connection.watch(statement)
        connection.is_watched = True
        try:
            with super().copy(statement, *args, **kwargs) as copy:
                yield copy
        finally:
            connection.is_watched = False


class _WatchedOnServer(_Watched):
    """Mixin for a class of server-side cursors, which bind the session while they are open."""

    __slots__ = ()

    def __init__(self, connection: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(connection, *args, **kwargs)
        connection.server_cursors.append(self)


@functools.cache
def watched(base: Any) -> Any:
    """Return a watched subclass of a cursor class."""
    if issubclass(base, _Watched):
        return base
    mixin = _WatchedOnServer if issubclass(base, psycopg.ServerCursor) else _Watched
    return type(base.__name__, (mixin, base), {"__slots__": (), "__module__": base.__module__})


def watch_on_server(cursor: Any) -> None:
    """Watch a server-side cursor that was not made by the connection, as Django does."""
    if not isinstance(cursor, _Watched):
        kind: Any = type(cursor)
        cursor.__class__ = watched(kind)
        cursor.connection.server_cursors.append(cursor)


class WatchedAdapters(AdaptersMap):
    """The adapters of one connection; counts their changes."""

    def __init__(self, template: AdaptersMap, changes: Changes) -> None:
        super().__init__(template)
        self._changes = changes
        self.types = _WatchedTypes(template.types, changes)

    def register_dumper(self, *args: Any, **kwargs: Any) -> None:
        """Register a dumper, as in psycopg."""
        self._changes.count += 1
        super().register_dumper(*args, **kwargs)

    def register_loader(self, *args: Any, **kwargs: Any) -> None:
        """Register a loader, as in psycopg."""
        self._changes.count += 1
        super().register_loader(*args, **kwargs)


class _WatchedTypes(TypesRegistry):
    def __init__(self, template: TypesRegistry, changes: Changes) -> None:
        super().__init__(template)
        self._changes = changes

    def add(self, *args: Any, **kwargs: Any) -> None:
        self._changes.count += 1
        super().add(*args, **kwargs)

    def clear(self) -> None:
        self._changes.count += 1
        super().clear()
