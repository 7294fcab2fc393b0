"""``start``: background work of the library itself, for the life of its process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gevent

__all__ = ["start"]


def start(function: Callable[..., object], *args: Any) -> None:
    """Run a function in the background.

    It runs in a raw greenlet: code that searches for instances of ``gevent.Greenlet``, to
    wait for them or to kill them, does not find it.

    Args:
        function: the function to run; it must not raise.
        args: its arguments.
    """
    gevent.spawn_raw(function, *args)
