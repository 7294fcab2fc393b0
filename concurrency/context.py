"""What a child greenlet inherits, and what it never does.

A greenlet starts with an empty context: context variables read their defaults
and Django falls back to the default language and time zone. ``capture()`` takes
what the parent has, ``Inherited.apply()`` gives it to the child. Database
connections and transaction state are never part of it.

This module also knows who waits for whom, and holds the hooks by which layers above
(the database) take part in a greenlet's life without being known here.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from typing import Any, NamedTuple

from gevent import getcurrent

from concurrency import places

Hook = Callable[[], None]

#: What is being worked on, for people to read: the request, or the name of a job.
activity: ContextVar[str | None] = ContextVar("concurrency.activity", default=None)

#: Called in a greenlet that is about to wait for others. Must not block.
before_wait: list[Hook] = []

#: Called in a thread that has done a piece of work and waits for the next. Must not block.
at_rest: list[Hook] = []

#: Called in a greenlet that is about to execute a statement of SQL. Must not block.
at_statement: list[Hook] = []

#: Called with the headers of a request that is about to be sent to another service.
outgoing: list[Callable[[MutableMapping[str, Any]], None]] = []

#: Called in a child greenlet, or in a thread of ``offload``, when its work has ended.
at_end: list[Hook] = []


class Ancestry(NamedTuple):
    """Who started a greenlet, and who started that one.

    Attributes:
        greenlet: who did.
        outer: who started that one.
        waits: whether it waits for this one in any case; else ``waiting`` tells.
    """

    greenlet: weakref.ref[Any]
    outer: Ancestry | None
    waits: bool = False


#: The greenlets that this one is a child of, the nearest first.
ancestry: ContextVar[Ancestry | None] = ContextVar("concurrency.ancestry", default=None)

#: The same for greenlets that run in a copy of somebody else's context, as asyncio's threads.
#: A plain dictionary: looked at for each lease, it costs no step of Python.
others_started: dict[weakref.ref[Any], Ancestry] = {}

#: Greenlets that wait for others through our verbs, and how to ask for which ones.
waiting: dict[Any, Callable[[], Iterable[Any]]] = {}


def ancestor() -> Ancestry | None:
    """Return who started this greenlet."""
    return others_started.get(weakref.ref(getcurrent())) or ancestry.get()


def works_for(greenlet: Any, waiter: Any) -> None:
    """Say that a greenlet is a child of one that waits for a coroutine, which started it."""
    key = weakref.ref(greenlet, _forget_started)
    others_started[key] = Ancestry(weakref.ref(waiter), _living(ancestry.get()), waits=True)


def _forget_started(greenlet: weakref.ref[Any]) -> None:
    others_started.pop(greenlet, None)


@contextmanager
def waiting_for(children: Callable[[], Iterable[Any]]) -> Iterator[None]:
    """Say that this greenlet waits for its children inside the block.

    Args:
        children: returns the greenlets that are waited for.
    """
    greenlet = getcurrent()
    waiting[greenlet] = children
    try:
        run_hooks(before_wait)
        yield
    finally:
        waiting.pop(greenlet, None)


class Inherited(NamedTuple):
    """What a parent hands to its children; one may serve many of them.

    Attributes:
        variables: its context variables.
        settings: what Django keeps elsewhere, and how to activate it.
        place: where it starts them.
    """

    variables: Context
    settings: tuple[tuple[Callable[[Any], None], Any], ...]
    place: places.Place | None = None

    def apply(self) -> None:
        """Activate language, time zone, urlconf and script prefix in this greenlet.

        The context variables are not set here: a greenlet is given its own copy
        of ``variables`` before it starts, and a thread runs inside one.
        """
        for activate, value in self.settings:
            activate(value)


def capture() -> Inherited:
    """Return what a child that is started now has to inherit."""
    variables = copy_context()
    variables.run(ancestry.set, Ancestry(weakref.ref(getcurrent()), _living(ancestor())))
    return Inherited(variables, tuple(_django_settings()), places.caller())


def _living(nearest: Ancestry | None) -> Ancestry | None:
    """Leave out ancestors that have ended, so that work which respawns itself does not pile up."""
    while nearest is not None:
        greenlet = nearest.greenlet()
        if greenlet is not None and not greenlet.dead:
            break
        nearest = nearest.outer
    return nearest


def _django_settings() -> list[tuple[Callable[[Any], None], Any]]:
    """Read Django's per-request settings where they differ from a fresh greenlet's.

    They live in asgiref locals. From asgiref 3.12 on these are tagged with the
    greenlet that set them, so copying the context does not carry them.
    """
    conf = sys.modules.get("django.conf")
    if conf is None or not conf.settings.configured:
        return []
    found: list[tuple[Callable[[Any], None], Any]] = []
    if (translation := sys.modules.get("django.utils.translation")) is not None:
        language = translation.get_language()
        if language is None:
            found.append((lambda _: translation.deactivate_all(), None))
        elif language != conf.settings.LANGUAGE_CODE:
            found.append((translation.activate, language))
    if (timezone := sys.modules.get("django.utils.timezone")) is not None:
        zone = timezone.get_current_timezone()
        if zone is not timezone.get_default_timezone():
            found.append((timezone.activate, zone))
    if (urls := sys.modules.get("django.urls.base")) is not None:
        if (urlconf := urls.get_urlconf()) is not None:
            found.append((urls.set_urlconf, urlconf))
        if (prefix := urls.get_script_prefix()) != "/":
            found.append((urls.set_script_prefix, prefix))
    return found


def run_hooks(hooks: list[Hook]) -> None:
    """Call every hook of a list, in order."""
    for hook in hooks:
        hook()
