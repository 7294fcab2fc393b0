"""Hooks: functions of upper layers that run at certain points in the life of a greenlet.

``AppConfig.ready`` registers all of them. The database and the middleware also work in a
project without the app, and so register theirs again when they are first used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, MutableMapping
from typing import Any, TypeAlias

__all__ = [
    "Hook",
    "Outgoing",
    "at_end",
    "at_rest",
    "at_statement",
    "before_wait",
    "outgoing",
    "register",
    "run",
]

Hook: TypeAlias = Callable[[], None]
Outgoing: TypeAlias = Callable[[MutableMapping[str, Any]], None]

#: Called in a greenlet that is about to wait for others. Must not block.
before_wait: list[Hook] = []

#: Called in a thread of an executor between two pieces of work. Must not block.
at_rest: list[Hook] = []

#: Called in a greenlet that is about to execute a statement of SQL. Must not block.
at_statement: list[Hook] = []

#: Called in a child greenlet, or in a thread of ``offload``, when its work has ended.
at_end: list[Hook] = []

#: Called with the headers of a request that is about to be sent to another service.
outgoing: list[Outgoing] = []


def register(hooks: list[Any], *new: Hook | Outgoing) -> None:
    """Add hooks to one of the lists of this module, each at most once."""
    hooks.extend(hook for hook in new if hook not in hooks)


def run(hooks: Iterable[Hook]) -> None:
    """Call every hook of a list, in order."""
    for hook in hooks:
        hook()
