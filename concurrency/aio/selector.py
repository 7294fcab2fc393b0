"""Waits for sockets on the hub, for one asyncio loop."""

from __future__ import annotations

import selectors
from collections.abc import Callable
from typing import Any

from gevent._hub_local import get_hub_if_exists
from gevent.hub import Waiter, get_hub

# gevent's constants for watchers.
_READ, _WRITE = 1, 2

# The part of the standard selectors that knows no way to wait.
_Base: Any = selectors._BaseSelectorImpl

# A loop that always has something to do lets other greenlets run at each of this many
# rounds; only then does it learn of its sockets.
_ROUNDS = 8


class HubSelector(_Base):  # type: ignore[misc]
    """A selector that lets other greenlets run while it waits.

    gevent's own selector gives way at each call, also where asyncio only wants to know
    whether something has happened. This one does so where it waits, and now and then.

    Attributes:
        before_wait: called before it waits; must not wait itself.
    """

    def __init__(self) -> None:
        super().__init__()
        self.before_wait: Callable[[], None] = lambda: None
        self._hub: Any = get_hub()
        self._watchers: dict[int, Any] = {}
        self._stopped: set[int] = set()
        self._events: dict[int, int] = {}
        self._waiter: Any = None
        self._woken = False
        self._rounds = 0

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Watch a file, from the next wait on."""
        key: selectors.SelectorKey = super().register(fileobj, events, data)
        try:
            self._watch(key)
        except OSError as error:
            super().unregister(fileobj)
            raise ValueError(f"file descriptor {key.fd} cannot be watched") from error
        return key

    def _watch(self, key: selectors.SelectorKey) -> None:
        wanted = (_READ if key.events & selectors.EVENT_READ else 0) | (
            _WRITE if key.events & selectors.EVENT_WRITE else 0
        )
        self._watchers[key.fd] = self._hub.loop.io(key.fd, wanted)
        self._stopped.add(key.fd)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        """Watch a file no longer."""
        key: selectors.SelectorKey = super().unregister(fileobj)
        self._stopped.discard(key.fd)
        self._events.pop(key.fd, None)
        self._watchers.pop(key.fd).close()
        return key

    def close(self) -> None:
        """Watch nothing any more."""
        for watcher in self._watchers.values():
            watcher.close()
        self._watchers.clear()
        self._stopped.clear()
        self._events.clear()
        super().close()

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
        """Return what has happened to the files, after a wait if nothing has."""
        if get_hub() is not self._hub:
            self._move()
        self._start_watchers()
        if self._woken or self._events or (timeout is not None and timeout <= 0):
            self._rounds += 1
            if self._rounds >= _ROUNDS:
                self._wait(0)
        else:
            self.before_wait()
            self._wait(timeout)
        self._woken = False
        happened, self._events = self._events, {}
        found = []
        for fd, events in happened.items():
            key = self._fd_to_key[fd]
            if events & key.events:
                found.append((key, events & key.events))
        return found

    def _move(self) -> None:
        """Wait on the hub of this native thread; the loop was made in another one."""
        self._hub = get_hub()
        for watcher in self._watchers.values():
            watcher.close()
        for key in self._fd_to_key.values():
            self._watch(key)

    def _start_watchers(self) -> None:
        for fd in self._stopped:
            self._watchers[fd].start(self._happened, fd, pass_events=True)
        self._stopped.clear()

    def _happened(self, events: int, fd: int) -> None:
        """Take note of an event; runs in the hub."""
        # Until the loop has dealt with it, it would happen again and again.
        self._watchers[fd].stop()
        self._stopped.add(fd)
        self._events[fd] = (selectors.EVENT_READ if events & _READ else 0) | (
            selectors.EVENT_WRITE if events & _WRITE else 0
        )
        if self._waiter is not None:
            waiter, self._waiter = self._waiter, None
            waiter.switch(None)

    def _wait(self, timeout: float | None) -> None:
        self._rounds = 0
        waiter: Any = Waiter(self._hub)
        self._waiter = waiter
        timer = None
        try:
            if timeout is not None:
                timer = self._hub.loop.timer(max(timeout, 0.0))
                timer.start(waiter.switch, None)
            waiter.get()
        finally:
            self._waiter = None
            if timer is not None:
                timer.close()

    def watches_at_most(self, count: int) -> bool:
        """Return whether it watches no more than ``count`` files."""
        return len(self._watchers) <= count
