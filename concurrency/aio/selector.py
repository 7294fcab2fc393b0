"""Waits for sockets on the hub, for one asyncio loop."""

from __future__ import annotations

import selectors
from collections.abc import Callable, Mapping
from typing import Any

from gevent.hub import Waiter, get_hub
from gevent.monkey import get_original

from concurrency.compat.gevent import get_hub_if_exists

# gevent's constant for watchers.
_READ = 1

# epoll or kqueue: its own descriptor is readable while one of its files is ready, so the
# hub can wait for all of them at once, and a poll needs no switch to the hub.
_Kernel: Any = get_original("selectors", "DefaultSelector")

# A loop that always has work lets other greenlets run once in this many rounds.
_ROUNDS = 8


class HubSelector(selectors.BaseSelector):
    """A selector that lets other greenlets run while it waits.

    gevent's own selector yields at each call, even when asyncio only polls. This one yields
    when it waits, and once in a number of rounds.

    Attributes:
        before_wait: called before it waits; must not wait itself.
    """

    def __init__(self) -> None:
        self.before_wait: Callable[[], None] = lambda: None
        self._kernel = _Kernel()
        self._hub: Any = get_hub()
        self._watcher: Any = self._hub.loop.io(self._kernel.fileno(), _READ)
        self._waiter: Any = None
        self._woken = False
        self._rounds = 0

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Watch a file.

        Raises:
            OSError: the kernel cannot watch it, for example a regular file.
        """
        key: selectors.SelectorKey = self._kernel.register(fileobj, events, data)
        return key

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Change the events for which a file is watched."""
        key: selectors.SelectorKey = self._kernel.modify(fileobj, events, data)
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        """Stop watching a file."""
        key: selectors.SelectorKey = self._kernel.unregister(fileobj)
        return key

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        """Return the files that are watched."""
        files: Mapping[Any, selectors.SelectorKey] = self._kernel.get_map()
        return files

    def close(self) -> None:
        """Stop watching all files."""
        self._watcher.close()
        self._kernel.close()

    def wake(self) -> bool:
        """End the wait, or the next one; return False in another native thread."""
        here: Any = get_hub_if_exists()
        if here is not self._hub:
            return False
        self._woken = True
        if self._waiter is not None:
            waiter, self._waiter = self._waiter, None
            self._hub.loop.run_callback(waiter.switch, None)
        return True

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return the events of the files; wait for one if there is none."""
        if get_hub() is not self._hub:
            self._move()
        found: list[tuple[selectors.SelectorKey, int]] = self._kernel.select(0)
        if found or self._woken or (timeout is not None and timeout <= 0):
            self._rounds += 1
            if self._rounds >= _ROUNDS:
                self._wait(0)
                found = self._kernel.select(0)
        else:
            self.before_wait()
            self._wait(timeout)
            found = self._kernel.select(0)
        self._woken = False
        return found

    def _move(self) -> None:
        """Wait on the hub of this native thread; the loop was made in another one."""
        self._watcher.close()
        self._hub = get_hub()
        self._watcher = self._hub.loop.io(self._kernel.fileno(), _READ)

    def _wait(self, timeout: float | None) -> None:
        self._rounds = 0
        waiter: Any = Waiter(self._hub)
        self._waiter = waiter
        timer = None
        try:
            self._watcher.start(self._ready)
            if timeout is not None:
                timer = self._hub.loop.timer(max(timeout, 0.0))
                timer.start(waiter.switch, None)
            waiter.get()
        finally:
            self._waiter = None
            self._watcher.stop()
            if timer is not None:
                timer.close()

    def _ready(self) -> None:
        """End the wait; runs in the hub."""
        # Until then the descriptor stays ready, and the hub would spin.
        self._watcher.stop()
        if self._waiter is not None:
            waiter, self._waiter = self._waiter, None
            waiter.switch(None)

    def watches_at_most(self, count: int) -> bool:
        """Return whether it watches no more than ``count`` files."""
        return len(self.get_map()) <= count
