"""asyncio inside greenlets: coroutines run while other greenlets do.

``concurrency.patch`` enables it: asyncio's own functions, asynchronous views and
asgiref's ``async_to_sync`` and ``sync_to_async`` work in any greenlet. ``run``,
``SharedLoop`` and ``iterate`` are the explicit interface.
"""

from __future__ import annotations

from concurrency.aio.bridge import install, is_installed
from concurrency.aio.running import SharedLoop, run
from concurrency.aio.streams import iterate

__all__ = ["SharedLoop", "install", "is_installed", "iterate", "run"]
