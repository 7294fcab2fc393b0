"""Tells whether a read from a descriptor would wait."""

from __future__ import annotations

import select
from typing import Any

from gevent.monkey import get_original

__all__ = ["is_readable"]

_poll: Any = get_original("select", "poll")


def is_readable(descriptor: int) -> bool:
    """Return whether data has arrived, or the other end has closed; never waits."""
    poll = _poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
