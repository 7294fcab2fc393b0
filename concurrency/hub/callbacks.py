"""Keeps code that waits, and user code such as a log handler, out of the hub.

A wait in the hub raises ``BlockingSwitchOutError`` in the middle of the hub's work.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import gevent

from concurrency.compat.gevent import get_hub_if_exists

__all__ = ["call_safely", "outside_hub"]


def outside_hub(work: Callable[..., object], *args: object) -> None:
    """Call a function now, or in a greenlet of its own if this is the hub.

    Args:
        work: may wait, log, or call code of the user.
        args: its arguments.
    """
    hub: Any = get_hub_if_exists()
    if hub is not None and gevent.getcurrent() is hub:
        gevent.spawn(work, *args)
    else:
        work(*args)


def call_safely(work: Callable[..., object], *args: object) -> None:
    """Call a function in the hub; the hub reports an error instead of raising it.

    For one of several callbacks, so that an error does not skip the others.
    """
    try:
        work(*args)
    except BaseException:  # noqa: BLE001 - the hub decides which errors end the process
        hub: Any = get_hub_if_exists()
        hub.handle_error(work, *sys.exc_info())
