"""An unbounded queue that greenlets and native threads may share.

``concurrent.futures`` and ``logging.handlers.QueueHandler`` use it from any thread.
gevent's belongs to one hub, and the standard library's blocks all greenlets while it waits.
"""

from __future__ import annotations

from collections import deque
from queue import Empty
from types import GenericAlias
from typing import Any

from concurrency.patching.turnstile import Turnstile


class SimpleQueue(Turnstile):
    """Replaces ``queue.SimpleQueue``, for both greenlets and native threads."""

    __slots__ = ("_items", "_permits")

    __class_getitem__: Any = classmethod(GenericAlias)

    _busy = "is empty"

    def __init__(self) -> None:
        self._waiting = ()
        self._items: deque[Any] = deque()
        # One permit for each item; a caller that has taken a permit then takes an item.
        self._permits: deque[None] = deque()

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """Append an item; never waits, and is safe in finalisers and signal handlers."""
        self._items.append(item)
        self._permits.append(None)
        if self._waiting:
            self._wake_first()

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Remove and return the first item, like ``queue.SimpleQueue.get``.

        Raises:
            queue.Empty: no item within ``timeout`` seconds, or none now if not ``block``.
        """
        if timeout is not None and timeout < 0:
            raise ValueError("'timeout' must be a non-negative number")
        if not (self._try() or (block and self._wait(timeout))):
            raise Empty
        return self._items.popleft()

    def put_nowait(self, item: Any) -> None:
        """Append an item."""
        self.put(item)

    def get_nowait(self) -> Any:
        """Remove and return the first item, or raise ``queue.Empty``."""
        return self.get(False)

    def empty(self) -> bool:
        """Return whether the queue is currently empty."""
        return not self._permits

    def qsize(self) -> int:
        """Return the current number of items."""
        return len(self._permits)

    def _try(self) -> bool:
        try:
            self._permits.pop()
        except IndexError:
            return False
        return True

    def _has_more(self) -> bool:
        return bool(self._permits)

    def _give_back(self) -> None:
        """Do nothing: a waiter takes its item only after the wait."""
