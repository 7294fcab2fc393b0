"""What a holder does below Django: on the driver's own connection and its cursors.

Each statement is looked at where the driver executes it, so that no way around Django's
cursors is one around the pool. One that comes by a way that is not known counts as a
change: a false alarm costs a reset, a miss would give one holder's settings to the next.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from concurrency.db.drivers.handles import Guard

__all__ = ["Changes", "CountedDict", "WatchedSession"]


class WatchedSession:
    """Mixin for a driver's connection: knows whether its session may have been changed."""

    #: Tells by its text whether a statement changes a session beyond its transaction.
    changes_session: Callable[[str], bool]
    #: Whether a statement may have changed the session beyond its transaction.
    tainted = False
    #: Whether it was changed in a way that no reset undoes.
    is_beyond_reset = False
    #: What changes the session from now on, by its text (None: unknown); None: nobody asks.
    recorded: set[str | None] | None = None
    #: Whether what the driver executes now has been looked at.
    is_watched = False
    #: Refuses handles of earlier leases; None for a connection without a pool.
    guard: Guard | None = None
    #: What the driver raises for wrong use of its objects.
    interface_error: type[Exception] = Exception

    def admit(self) -> None:
        """Raise if who uses this has kept it from an earlier lease; before anything is sent."""
        if self.guard is not None and self.guard.is_wanted:
            self.guard.check(self.interface_error)

    def watch(self, sql: Any) -> None:
        """Look at a statement that is about to run."""
        self.admit()
        if self.is_beyond_reset and self.recorded is None:
            return
        text = sql if isinstance(sql, str) else self.text_of(sql)
        if text is None or self.changes_session(text):
            self.note_change(text)

    def text_of(self, sql: Any) -> str | None:
        """Return a statement as text that was not given as such, None if there is no way."""
        return sql.decode(errors="replace") if isinstance(sql, (bytes, bytearray)) else None

    def note_change(self, text: str | None) -> None:
        """Take note of a statement that changes the session; None: one whose text is unknown."""
        self.tainted = True
        if self.recorded is not None:
            self.recorded.add(text)


class Changes:
    """How often a holder has changed something that cannot be compared.

    Attributes:
        count: grows with each change.
    """

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class CountedDict(dict[Any, Any]):
    """A dictionary whose changes are counted, where to compare it would take too long.

    Args:
        content: what is in it.
        changes: counts.
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
