"""How often greenlets are switched, and how often the loop goes round."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import greenlet
from gevent.hub import get_hub


class Turns:
    """How often greenlets were switched, and how often the loop went round."""

    switches = 0
    iterations = 0

    def switched(self, event: str, greenlets: object) -> None:
        self.switches += 1

    def went_round(self) -> None:
        self.iterations += 1


@contextmanager
def counting() -> Iterator[Turns]:
    """Count what happens in the process during the block."""
    turns = Turns()
    watcher = get_hub().loop.prepare()
    watcher.start(turns.went_round)
    before = greenlet.settrace(turns.switched)
    try:
        yield turns
    finally:
        greenlet.settrace(before)
        watcher.close()
