"""What urllib3 does not promise. It imports nothing of urllib3, which may be there too early."""

from __future__ import annotations

import sys
from typing import Any

from concurrency.compat.names import Names

__all__ = ["NAMES", "has_tunnel", "use_patched"]

NAMES = Names(
    "urllib3",
    "urllib3._collections:RLock",
    "urllib3.connection:HTTPConnection()._tunnel_host",
    "urllib3.connectionpool:ConnectionPool.QueueCls",
    "urllib3.connectionpool:HTTPConnectionPool._get_conn(self, timeout)",
    "urllib3.connectionpool:HTTPConnectionPool._make_request"
    "(self, conn, method, url, timeout=, body=, headers=)",
    "urllib3.poolmanager:PoolManager().pool_classes_by_scheme",
)


def has_tunnel(connection: Any) -> bool:
    """Return whether a connection goes through a proxy that does not read what is sent."""
    return connection._tunnel_host is not None


def use_patched() -> None:
    """Have urllib3, if it was imported before the patch, use patched queues and locks."""
    import queue
    import threading

    if (pool := sys.modules.get("urllib3.connectionpool")) is not None:
        pool.ConnectionPool.QueueCls = queue.LifoQueue
    if (collections := sys.modules.get("urllib3._collections")) is not None:
        vars(collections)["RLock"] = threading.RLock
