"""Turns of greenlets with something that serves one at a time.

Turns form a stack: descendants of a greenlet that has a turn and waits may take one on top
of it, and it goes on when theirs have ended. All other greenlets queue. This module does
not depend on databases, and works across native threads.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from gevent import getcurrent
from gevent.event import Event
from gevent.monkey import get_original

from concurrency import kinship

# Seconds after which a waiting greenlet checks whether the owner of a turn has died.
_LOOK = 0.1


class Turn:
    """The right of one greenlet to the use of something.

    Attributes:
        depth: uses in progress; nested ones are of the same greenlet.
        is_ending: whether its end has begun.
    """

    __slots__ = ("_ancestors", "_owner", "depth", "is_ending")

    def __init__(self) -> None:
        owner = getcurrent()
        self._owner = weakref.ref(owner)
        self._ancestors = weakref.WeakSet(_ancestors_of(owner))
        self.depth = 0
        self.is_ending = False

    def owner(self) -> Any:
        """Return the greenlet that it belongs to, or None when it is gone."""
        return self._owner()

    def is_orphan(self) -> bool:
        """Return whether its greenlet has died without ending it."""
        owner = self._owner()
        return owner is None or bool(owner.dead)

    def may_pass(self, other: Turn) -> bool:
        """Return whether it may be taken while another is not ended."""
        owner = other.owner()
        return other.depth == 0 and owner is not None and owner in self._ancestors


def _ancestors_of(greenlet: Any) -> list[Any]:
    """Return the greenlets that have started this one, and those that have started them."""
    found: list[Any] = []
    candidates = [*_parents_of(greenlet)]
    while candidates:
        candidate = candidates.pop()
        if candidate is not None and not any(candidate is known for known in found):
            found.append(candidate)
            candidates.extend(_parents_of(candidate))
    return found


def _parents_of(greenlet: Any) -> Iterator[Any]:
    if (spawning := getattr(greenlet, "spawning_greenlet", None)) is not None:
        yield spawning()
    for ancestor in kinship.ancestors(greenlet):
        yield ancestor.greenlet()


class Turns:
    """The turns that are taken, and the queue for the next.

    Args:
        bury: called with a turn whose greenlet has died, to end it.
    """

    def __init__(self, bury: Callable[[Turn], None]) -> None:
        # Native, because threads come here too; never held across a switch.
        self._lock = get_original("_thread", "RLock")()
        self._stack: list[Turn] = []
        self._waiting: list[tuple[Turn, Event]] = []
        self._bury = bury

    def enter(self, turn: Turn, seconds: float) -> bool:
        """Wait until this turn may be used; return whether that came in time.

        Args:
            turn: a new one, or one that was left and not ended.
            seconds: how long to wait.
        """
        # Decided here, under the lock: whether the turn is free.
        with self._lock:
            if turn.depth:
                turn.depth += 1
                return True
            if self._is_free_for(turn):
                self._grant(turn)
                return True
            was_held = turn in self._stack
            event = Event()
            self._waiting.append((turn, event))
        try:
            self._wait(event, time.monotonic() + seconds)
        except BaseException:
            if self._leave_queue(turn, event):
                # Granted in the moment it left: the next one must have it.
                (self.leave if was_held else self.end)(turn)
            raise
        return self._leave_queue(turn, event)

    def _wait(self, event: Event, until: float) -> None:
        while not event.wait(max(0.0, min(_LOOK, until - time.monotonic()))):
            if time.monotonic() >= until:
                return
            self._look_for_orphans()

    def _leave_queue(self, turn: Turn, event: Event) -> bool:
        """Leave the queue; return whether the turn was granted before."""
        with self._lock:
            if (turn, event) in self._waiting:
                self._waiting.remove((turn, event))
            return event.is_set()

    def leave(self, turn: Turn) -> None:
        """End a use and keep the turn: only descendants may take one meanwhile."""
        with self._lock:
            turn.depth -= 1
            self._serve()

    def end(self, turn: Turn) -> None:
        """Give the turn up."""
        with self._lock:
            turn.depth = 0
            if turn in self._stack:
                self._stack.remove(turn)
            self._serve()

    def holder(self) -> Any:
        """Return the greenlet whose turn it is, or None."""
        with self._lock:
            return self._stack[-1].owner() if self._stack else None

    def _is_free_for(self, turn: Turn) -> bool:
        if not self._stack or self._stack[-1] is turn:
            return True
        return turn not in self._stack and turn.may_pass(self._stack[-1])

    def _grant(self, turn: Turn) -> None:
        turn.depth = 1
        if turn not in self._stack:
            self._stack.append(turn)

    def _serve(self) -> None:
        """Grant the first turn in the queue that may be granted; under the lock."""
        if self._stack and self._stack[-1].depth:
            return
        for turn, event in self._waiting:
            if self._is_free_for(turn):
                self._grant(turn)
                self._waiting.remove((turn, event))
                event.set()
                return

    def _look_for_orphans(self) -> None:
        with self._lock:
            orphans = [turn for turn in self._stack if turn.is_orphan() and not turn.is_ending]
        for turn in orphans:
            self._bury(turn)
