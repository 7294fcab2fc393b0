"""What greenlets are called in messages: by what they run and where they were spawned."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

import gevent
from gevent.hub import Hub

from concurrency import places
from concurrency.context import Inherited
from concurrency.tasks.child import Child

__all__ = ["name_of"]


def name_of(greenlet: Any) -> str:
    """Return how to call a greenlet in a message, as `task "slow", spawned at views.py:48`."""
    if greenlet is None:
        return "a greenlet that is gone"
    if not isinstance(greenlet, gevent.Greenlet):
        if isinstance(greenlet, Hub):
            return "the hub"
        return f"greenlet {id(greenlet):#x}" if greenlet.parent else "the main greenlet"
    name = _work_of(greenlet)
    place = _place_of(greenlet)
    return name if place is None else f"{name}, spawned at {place}"


def _work_of(greenlet: Any) -> str:
    known = vars(greenlet)
    call: Any = known.get("_call") or known.get("_run") or type(greenlet)
    owner = getattr(call, "__self__", None)
    if isinstance(owner, threading.Thread):
        return f'thread "{owner.name}"'
    if isinstance(owner, Child):
        return f'task "{_function(owner.fn)}"'
    return f'{"task" if "_call" in known else "greenlet"} "{_function(call)}"'


def _function(call: Any) -> str:
    while isinstance(call, partial):
        call = call.func
    name = getattr(call, "__qualname__", None) or repr(call)
    return str(name).rpartition("<locals>.")[2]


def _place_of(greenlet: Any) -> str | None:
    """Return where it was spawned, as far as this package or gevent has kept it."""
    for value in (vars(greenlet).get("_inherited"), *(greenlet.args or ())):
        if isinstance(value, Inherited):
            return None if value.place is None else places.text_of(value.place)
    frames = list(places.outwards(getattr(greenlet, "spawning_stack", None)))
    own = next((frame for frame in frames if not places.is_library(frame.f_code)), None)
    return None if own is None else places.line_of(own)
