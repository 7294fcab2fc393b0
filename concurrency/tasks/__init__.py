"""Greenlets: start them, wait for them, and cancel them, without losing errors.

``TaskGroup`` is the primitive; ``gather`` and ``map_each`` are thin layers on it.
``spawn`` and ``joinall`` are gevent's two verbs made safe, ``offload`` runs code
that blocks in a native thread. Does not depend on databases or HTTP, which take part
through ``concurrency.hooks``.
"""

from __future__ import annotations

from concurrency.tasks.fanout import gather, map_each
from concurrency.tasks.group import TaskGroup
from concurrency.tasks.loose import joinall, outstanding, spawn
from concurrency.tasks.task import Task
from concurrency.tasks.threads import OffloadStatistics, offload, offload_statistics

__all__ = [
    "OffloadStatistics",
    "Task",
    "TaskGroup",
    "gather",
    "joinall",
    "map_each",
    "offload",
    "offload_statistics",
    "outstanding",
    "spawn",
]
