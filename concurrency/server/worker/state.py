"""``State``: what this package keeps of one worker of gunicorn's, as ``worker.concurrency``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from concurrency.server.board import Row
from concurrency.server.worker.drain import Drain
from concurrency.server.worker.gate import Gate
from concurrency.server.worker.reporting import Report
from concurrency.server.worker.unsent import Unsent
from concurrency.server.worker.window import Window

__all__ = ["State", "state_of"]


@dataclass(slots=True, kw_only=True)
class State:
    """The parts of one worker; None until there is one.

    Attributes:
        drain: the end of the worker.
        row: its row of the board; there is none without ``on_starting``.
        report: what writes that row.
        gate: what lets requests in.
        window: what shows its greenlets.
        unsent: bytes of responses that wait for slow clients; of our own worker class.
        shed_after: what ``CONCURRENCY["SHED_AFTER"]`` is where it is None; seconds.
        speaks_http: whether the worker is of our own class: it knows which connections are
            idle, and completes bodies.
    """

    drain: Drain = field(default_factory=Drain)
    row: Row | None = None
    report: Report | None = None
    gate: Gate | None = None
    window: Window | None = None
    unsent: Unsent | None = None
    shed_after: float | None = None
    speaks_http: bool = False


def state_of(worker: Any) -> State:
    """Return the state of a worker; the first call for a worker of gunicorn's own makes it."""
    try:
        found: State = worker.concurrency
    except AttributeError:
        found = worker.concurrency = State()
    return found
