"""Watches what a holder does below Django, on the driver's connection and its cursors.

Each statement is checked where the driver executes it, so code that bypasses Django's
cursors does not bypass the pool. A statement that arrives on an unknown path counts as a
change: a false positive costs a reset, a miss would pass settings on to the next holder.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from concurrency.db.drivers.handles import Guard

__all__ = ["Changes", "CountedDict", "WatchedSession"]


class WatchedSession:
    """Mixin for a driver's connection: records whether its session may have been changed."""

    #: Returns whether a statement, by its text, changes a session beyond its transaction.
    changes_session: Callable[[str], bool]
    #: Whether a statement may have changed the session beyond its transaction.
    tainted = False
    #: Whether it was changed in a way that no reset undoes.
    is_beyond_reset = False
    #: Texts of statements that change the session (None: unknown); None: not recorded.
    recorded: set[str | None] | None = None
    #: Whether the statement that the driver executes now has been checked.
    is_watched = False
    #: Refuses handles of earlier leases; None for a connection without a pool.
    guard: Guard | None = None
    #: The exception that the driver raises for wrong use of its objects.
    interface_error: type[Exception] = Exception

    def admit(self) -> None:
        """Raise if the caller uses a handle from an earlier lease; call it before sending."""
        if self.guard is not None and self.guard.is_wanted:
            self.guard.check(self.interface_error)

    def watch(self, sql: Any) -> None:
        """Check a statement that is about to run."""
        self.admit()
        if self.is_beyond_reset and self.recorded is None:
            return
        text = sql if isinstance(sql, str) else self.text_of(sql)
        if text is None or self.changes_session(text):
            self.note_change(text)

    def text_of(self, sql: Any) -> str | None:
        """Return a statement that is not a ``str`` as text, None if that is impossible."""
        return sql.decode(errors="replace") if isinstance(sql, (bytes, bytearray)) else None

    def note_change(self, text: str | None) -> None:
        """Record a statement that changes the session; None if its text is unknown."""
        self.tainted = True
        if self.recorded is not None:
            self.recorded.add(text)


class Changes:
    """Counts a holder's changes to state that cannot be compared.

    Attributes:
        count: number of changes.
    """

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class CountedDict(dict[Any, Any]):
    """A dictionary that counts its changes, for content too large to compare.

    Args:
        content: the initial content.
        changes: the counter.
    """

    def __init__(self, content: dict[Any, Any], changes: Changes) -> None:
        super().__init__(content)
        self._changes = changes


def _counting(name: str) -> Callable[..., Any]:
    method = getattr(dict, name)

    def change(self: CountedDict, *args: Any, **kwargs: Any) -> Any:
        self._changes.count += 1
        return method(self, *args, **kwargs)

    return change


for _name in (
    "__delitem__",
    "__ior__",
    "__setitem__",
    "clear",
    "pop",
    "popitem",
    "setdefault",
    "update",
):
    setattr(CountedDict, _name, _counting(_name))
