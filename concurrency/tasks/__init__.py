"""Greenlets: start them, wait for them, cancel them, and lose nothing.

``TaskGroup`` is the primitive; ``gather`` and ``map_each`` are thin layers on it.
``spawn`` and ``joinall`` are gevent's two verbs made safe, ``offload`` runs code
that blocks in a native thread. Nothing here depends on databases or HTTP: those
take part through ``concurrency.hooks``.
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
