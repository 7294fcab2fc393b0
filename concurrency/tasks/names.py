"""Names of greenlets for messages: what they run and where they were spawned."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

import gevent
from gevent.hub import Hub

from concurrency import places
from concurrency.compat.gevent import run_of
from concurrency.context import inherited_by
from concurrency.tasks.child import Child
from concurrency.tasks.loose import Loose

__all__ = ["call_of", "name_of", "thread_of"]


def name_of(greenlet: Any) -> str:
    """Return the name of a greenlet, such as `task "slow", spawned at views.py:48`."""
    if greenlet is None:
        return "a greenlet that is gone"
    if not isinstance(greenlet, gevent.Greenlet):
        if isinstance(greenlet, Hub):
            return "the hub"
        return f"greenlet {id(greenlet):#x}" if greenlet.parent else "the main greenlet"
    place = _place_of(greenlet)
    name = _work_of(greenlet)
    return name if place is None else f"{name}, spawned at {place}"


def call_of(greenlet: Any) -> Any:
    """Return the function that a greenlet calls, without the wrappers of this package."""
    call = _call_of(greenlet)
    while isinstance(call, partial):
        call = call.func
    owner = getattr(call, "__self__", None)
    return owner.fn if isinstance(owner, Child) else call


def thread_of(greenlet: Any) -> threading.Thread | None:
    """Return the ``threading.Thread`` that runs as a greenlet, or None."""
    owner = getattr(_call_of(greenlet), "__self__", None)
    return owner if isinstance(owner, threading.Thread) else None


def _call_of(greenlet: Any) -> Any:
    if isinstance(greenlet, Loose):
        return greenlet.call
    found = run_of(greenlet) if isinstance(greenlet, gevent.Greenlet) else None
    return found or type(greenlet)


def _work_of(greenlet: Any) -> str:
    thread = thread_of(greenlet)
    if thread is not None:
        return f'thread "{thread.name}"'
    owner = getattr(_call_of(greenlet), "__self__", None)
    is_ours = isinstance(greenlet, Loose) or isinstance(owner, Child)
    return f'{"task" if is_ours else "greenlet"} "{_function(call_of(greenlet))}"'


def _function(call: Any) -> str:
    while isinstance(call, partial):
        call = call.func
    name = getattr(call, "__qualname__", None) or repr(call)
    return str(name).rpartition("<locals>.")[2]


def _place_of(greenlet: Any) -> str | None:
    """Return where it was spawned, if this package or gevent has recorded it."""
    inherited = inherited_by(greenlet)
    if inherited is not None:
        return None if inherited.place is None else places.text_of(inherited.place)
    own = places.first_of_user(places.outwards(getattr(greenlet, "spawning_stack", None)))
    return None if own is None else places.line_of(own)
