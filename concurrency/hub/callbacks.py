"""What may run in a hub: nothing that waits, and nothing of the user's, such as a log handler.

A hub that waits raises ``BlockingSwitchOutError`` in the middle of whatever it was doing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import gevent

from concurrency.compat.gevent import get_hub_if_exists

__all__ = ["call_safely", "outside_hub"]


def outside_hub(work: Callable[..., object], *args: object) -> None:
    """Call something now, or in a greenlet of its own if this is the hub.

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
    """Call something in the hub; an error is reported by the hub and not raised.

    For one of several callbacks, of which the others have to be called too.
    """
    try:
        work(*args)
    except BaseException:  # noqa: BLE001 - the hub decides which of them end the process
        hub: Any = get_hub_if_exists()
        hub.handle_error(work, *sys.exc_info())
