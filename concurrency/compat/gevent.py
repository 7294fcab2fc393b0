"""What gevent does not promise. Importing it patches nothing."""

from __future__ import annotations

from concurrency.compat.names import Names

NAMES = Names(
    "gevent",
    "gevent._hub_local:get_hub_if_exists",
    "gevent._abstract_linkable:AbstractLinkable.linkcount",
    "gevent._abstract_linkable:AbstractLinkable.unlink",
    "gevent.greenlet:Greenlet._maybe_kill_before_start",
    "gevent.os:_watch_child",
)
NAMES.require()

# `get_hub_if_exists`: the hub of this thread, or None. It is asked for at each switch.
# `AbstractLinkable`: what locks, events and queues have in common, by which those who
# wait for one are found.
from gevent._abstract_linkable import AbstractLinkable
from gevent._hub_local import get_hub_if_exists

__all__ = ["NAMES", "AbstractLinkable", "get_hub_if_exists"]
