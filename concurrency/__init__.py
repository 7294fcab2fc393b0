"""Synchronous Django, thousands of waits.

This module is the export table. Importing it imports nothing else, so that
``import concurrency.patch`` can patch before anything has opened a socket or
made a lock; each name below is resolved when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from concurrency.deadlines import deadline, remaining
    from concurrency.tasks import Task, TaskGroup, gather, joinall, map_each, offload, spawn

__version__ = "0.1.0"

__all__ = [
    "Task",
    "TaskGroup",
    "deadline",
    "gather",
    "joinall",
    "map_each",
    "offload",
    "remaining",
    "spawn",
]

_HOMES = {
    "Task": "concurrency.tasks",
    "TaskGroup": "concurrency.tasks",
    "deadline": "concurrency.deadlines",
    "gather": "concurrency.tasks",
    "joinall": "concurrency.tasks",
    "map_each": "concurrency.tasks",
    "offload": "concurrency.tasks",
    "remaining": "concurrency.deadlines",
    "spawn": "concurrency.tasks",
}


def __getattr__(name: str) -> Any:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
