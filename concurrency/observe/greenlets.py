"""The current state of the greenlets of this process, for ``manage.py greenlets``.

It comes from suspended stacks, from the contexts that greenlets run in and from the leases
that they hold. A native thread can call this module, even while a greenlet blocks the hub.
"""

from __future__ import annotations

import contextlib
import gc
import sys
import time
from contextvars import Context
from dataclasses import dataclass
from types import FrameType
from typing import Any
from weakref import ref

import gevent
from gevent.hub import Hub
from greenlet import greenlet

from concurrency.context import activity, inherited_by
from concurrency.db.pool.registry import leases, queued_at
from concurrency.kinship import waiting
from concurrency.observe import requests
from concurrency.places import first_of_user, is_library, line_of, outwards
from concurrency.tasks import outstanding
from concurrency.tasks.names import call_of, name_of, thread_of

__all__ = [
    "Seen",
    "describe",
    "frames_of",
    "is_running",
    "look",
    "note_births",
    "request_of_running",
    "running_in",
    "sql_by_owner",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One greenlet at one moment.

    Attributes:
        name: gevent's name for it, and what it runs.
        age: seconds since it was spawned; None if that was before ``note_births``.
        request: the request that it works on, and its id; empty outside of requests.
        parent: the greenlet that spawned it; empty if that no longer exists.
        waits: what it waits for and where, or that it runs.
        sql: the last statement on a connection that it holds; empty without one.
        internal: whether it belongs to a library, and to no request or task of the user.
    """

    name: str
    age: float | None
    request: str
    parent: str
    waits: str
    sql: str
    internal: bool


def note_births() -> None:
    """Record when greenlets are spawned from now on."""
    gevent.Greenlet.add_spawn_callback(_born)


def _born(new: Any) -> None:
    new.concurrency_born = time.monotonic()


def look(thread: int) -> list[Seen]:
    """Return the state of the greenlets of this process, oldest first.

    Args:
        thread: the native thread of the hub, as ``threading.get_ident()`` gives it.
    """
    sql = sql_by_owner()
    running = _current_frame(thread)
    found = [
        _seen(one, sql, running)
        for one in gc.get_objects()
        # type() and never isinstance(): lazy objects evaluate themselves when asked.
        if issubclass(type(one), greenlet) and _is_live(one)
    ]
    return sorted(found, key=lambda seen: -(seen.age or 0.0))


def _is_live(one: Any) -> bool:
    """Return whether a greenlet has started and not ended; False for hubs and main greenlets."""
    if not one or one.dead or isinstance(one, Hub):
        return False
    return one.gr_frame is not None or one.parent is not None


def sql_by_owner() -> dict[int, str]:
    """Return the last statement of each greenlet that holds a connection, by its ``id()``."""
    return {id(lease.owner()): lease.sql or "" for lease in leases()}


def _seen(one: Any, sql: dict[int, str], running: FrameType | None) -> Seen:
    # Only the thread has the frame of the running greenlet.
    frames = frames_of(one.gr_frame or running)
    born = getattr(one, "concurrency_born", None)
    request = _request_of(one)
    return Seen(
        name=_name(one),
        age=None if born is None else time.monotonic() - born,
        request=request,
        parent=_parent(one),
        waits=_waits(one, frames),
        sql=sql.get(id(one), ""),
        internal=not (request or id(one) in sql or _is_of_user(one, frames)),
    )


def _is_of_user(one: Any, frames: list[FrameType]) -> bool:
    """Return whether a greenlet runs code of the user, or is about to."""
    code = getattr(call_of(one), "__code__", None)
    user = code is not None and not is_library(code)
    return user or any(not is_library(frame.f_code) for frame in frames)


def _name(one: Any) -> str:
    if not isinstance(one, gevent.Greenlet):
        return f"greenlet {id(one):#x}"
    return f"{one.name} {name_of(one)}"


def describe(one: Any) -> str:
    """Return name and place of a suspended greenlet of the user; empty for those of libraries."""
    frames = frames_of(one.gr_frame)
    if thread_of(one) is None and not _is_of_user(one, frames):
        return ""
    own = first_of_user(frames)
    return name_of(one) if own is None else f"{name_of(one)}, now at {line_of(own)}"


def _parent(one: Any) -> str:
    parent = getattr(one, "spawning_greenlet", None)
    spawner = parent() if callable(parent) else None
    return "" if spawner is None or spawner.dead else getattr(spawner, "name", "main greenlet")


def _waits(one: Any, frames: list[FrameType]) -> str:
    children = waiting.get(one)
    if one.gr_frame is None:
        what = "runs"
    elif children is not None:
        what = f"{len(list(children()))} children"
    elif (alias := queued_at(one)) is not None:
        what = f"a connection of {alias!r}"
    else:
        what = frames[0].f_code.co_name if frames else "its first turn"
    own = first_of_user(frames)
    return what if own is None else f"{what}, {line_of(own)} in {own.f_code.co_name}"


def _request_of(one: Any) -> str:
    """Return the request or the job that a greenlet works on."""
    inside: Context | None = None
    # The context of a running greenlet cannot be read from another native thread.
    with contextlib.suppress(ValueError):
        inside = one.gr_context
    if inside is None:
        inherited = inherited_by(one)
        inside = None if inherited is None else inherited.variables
        passing = requests.by_greenlet.get(ref(one))
        if passing is not None:
            return str(passing)
    return "" if inside is None else _describe(inside)


def _describe(inside: Context) -> str:
    passing = inside.get(requests.current)
    what = inside.get(activity)
    return (what or "") if passing is None else str(passing)


def request_of_running(hub: Any) -> str:
    """Return what the running greenlet of a hub works on.

    For another native thread, while that greenlet blocks the hub.
    """
    children = [child for awaited in list(waiting.values()) for child in awaited()]
    answering = [key() for key in list(requests.by_greenlet)]
    for one in (*children, *outstanding(), *answering):
        if is_running(one) and (one.parent is hub or one is hub.parent):
            return _request_of(one)
    return ""


def is_running(one: Any) -> bool:
    """Return whether a greenlet is the one that its thread executes."""
    return one is not None and bool(one) and not one.dead and one.gr_frame is None


def running_in(thread: int) -> list[FrameType]:
    """Return the frames that a native thread executes, innermost first."""
    return frames_of(_current_frame(thread))


def _current_frame(thread: int) -> FrameType | None:
    return sys._current_frames().get(thread)


def frames_of(frame: FrameType | None) -> list[FrameType]:
    """Return a frame and its callers, innermost first."""
    return list(outwards(frame))
