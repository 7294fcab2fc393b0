"""``start``: work of the library itself, which goes on as long as its process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gevent

__all__ = ["start"]


def start(function: Callable[..., object], *args: Any) -> None:
    """Run a function in the background.

    It runs in a bare greenlet: code that looks for instances of ``gevent.Greenlet``, to wait
    for them or to kill them, does not find it.

    Args:
        function: what is run; it must not raise.
        args: what it is called with.
    """
    gevent.spawn_raw(function, *args)
