"""Lets code that watches the queries of a greenlet also see those of its children.

Each greenlet has its own wrapper, so ``assertNumQueries``, ``CaptureQueriesContext``,
``connection.queries`` and ``execute_wrapper`` would miss the queries of a fan-out. In tests
and with ``DEBUG`` a child's wrapper reports to that of its nearest ancestor with one.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Iterator
from typing import Any

from django.conf import settings

from concurrency import kinship
from concurrency.compat import debug_toolbar
from concurrency.compat.django import is_testing
from concurrency.db.wrapper import fan_out_in_atomic
from concurrency.db.wrapper.template import HasPool

#: Whether this process runs tests; Django's own runner is detected without it.
runs_tests = False


class _Log(deque[Any]):
    """The query log of a child; each query also goes to its ancestor's log."""

    def __init__(self, outer: deque[Any]) -> None:
        super().__init__(maxlen=outer.maxlen)
        self._outer = outer

    def append(self, query: Any) -> None:
        super().append(query)
        self._outer.append(query)


class _Wrappers(list[Any]):
    """The execute wrappers of a child, nested inside its ancestor's current ones."""

    def __init__(self, outer: list[Any]) -> None:
        super().__init__()
        self._outer = outer

    def __reversed__(self) -> Iterator[Any]:
        """Yield the innermost first, in the order in which Django wraps a statement."""
        yield from super().__reversed__()
        yield from reversed(self._outer)


class ObservedStatements(HasPool):
    """Part of a pooled wrapper: watchers of an ancestor also see its statements."""

    _ancestor: weakref.ref[Any] | None = None

    def is_handed_on(self) -> bool:
        """Return whether an ancestor might watch this wrapper now, or has done so."""
        has_parent = kinship.ancestry.get() is not None or bool(kinship.started_for_others)
        return has_parent or self._ancestor is not None

    def hand_on(self) -> None:
        """Let the nearest ancestor's watchers see this wrapper, in tests and with ``DEBUG``.

        Runs for a new wrapper and for each lease, as a thread serves several parents in turn.
        """
        if self.is_template or not _is_wanted():
            return
        fan_out_in_atomic.remember(self)
        found = _ancestor_of(self.alias)
        if found is not self._nearest():
            self._ancestor = None if found is None else weakref.ref(found)
            limit = self.queries_limit
            self.queries_log = _Log(found.queries_log) if found else deque(maxlen=limit)
            self.execute_wrappers = _Wrappers(found.execute_wrappers) if found else []
            debug_toolbar.show(self, found)

    def _nearest(self) -> Any:
        return None if self._ancestor is None else self._ancestor()

    @property
    def queries_logged(self) -> bool:
        """Whether statements are logged, here or by an ancestor."""
        if super().queries_logged:
            return True
        found = self._nearest()
        return found is not None and bool(found.queries_logged)


def _is_wanted() -> bool:
    if runs_tests or settings.DEBUG:
        return True
    return is_testing()


def _ancestor_of(alias: str) -> Any:
    """Return the wrapper of the nearest ancestor of this greenlet that has one."""
    for ancestor in kinship.ancestors():
        found = fan_out_in_atomic.wrapper_of(ancestor.greenlet(), alias)
        if found is not None:
            return found
    return None
