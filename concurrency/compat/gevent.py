"""What gevent does not promise. Importing it patches nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gevent
import gevent.os
from gevent.monkey import get_original

from concurrency.compat.names import Names

NAMES = Names(
    "gevent",
    "gevent._abstract_linkable:AbstractLinkable.linkcount",
    "gevent._abstract_linkable:AbstractLinkable.unlink",
    "gevent._hub_local:get_hub_if_exists",
    "gevent.greenlet:Greenlet._maybe_kill_before_start",
    "gevent.greenlet:Greenlet._run",
    "gevent.server:StreamServer.do_handle(self)",
    "gevent.server:StreamServer.do_read(self)",
    "gevent.server:StreamServer.full(self)",
    "gevent.socket:socket()._io_refs",
    "gevent.os:_watch_child(pid)",
    "gevent.subprocess:Popen._execute_child",
    "gevent.subprocess:Popen()._loop",
    "gevent.subprocess:Popen.wait(self, timeout, _raise_exc)",
)
Names(
    "gevent",
    "gevent._abstract_linkable:AbstractLinkable",
    "gevent._hub_local:get_hub_if_exists",
).require()

# `get_hub_if_exists`: the hub of this thread, or None. It is asked for at each switch.
# `AbstractLinkable`: what locks, events and queues have in common, by which those who
# wait for one are found.
from gevent._abstract_linkable import AbstractLinkable
from gevent._hub_local import get_hub_if_exists

__all__ = [
    "NAMES",
    "AbstractLinkable",
    "cancel_before_start",
    "count_threads",
    "get_hub_if_exists",
    "run_of",
    "watch_child",
]

#: How many native threads there are beside the main one.
count_threads: Callable[[], int] = get_original("_thread", "_count")


def cancel_before_start(one: gevent.Greenlet[..., Any]) -> None:
    """Have a greenlet that has not begun never begin."""
    one._maybe_kill_before_start(gevent.GreenletExit)  # type: ignore[attr-defined]


def run_of(one: gevent.Greenlet[..., Any]) -> Any:
    """Return what a greenlet calls, None if that is a method of its own or has been called."""
    return vars(one).get("_run")


def watch_child(pid: int) -> None:
    """Have the hub keep the status of a child process, which it collects, until it is asked."""
    gevent.os._watch_child(pid)  # type: ignore[attr-defined]
