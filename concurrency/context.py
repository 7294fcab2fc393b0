"""What a child greenlet inherits, and what it never does.

A greenlet starts with an empty context: context variables read their defaults
and Django falls back to the default language and time zone. ``capture()`` takes
what the parent has, ``Inherited.apply()`` gives it to the child. Database
connections and transaction state are never part of it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from contextvars import Context, ContextVar, copy_context
from typing import Any, NamedTuple

from concurrency import kinship, places

__all__ = ["Inherited", "activity", "capture", "inherited_by"]

#: What is being worked on, for people to read: the request, or the name of a job.
activity: ContextVar[str | None] = ContextVar("concurrency.activity", default=None)


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
    variables.run(kinship.become_parent)
    return Inherited(variables, tuple(_django_settings()), places.caller())


def inherited_by(greenlet: Any) -> Inherited | None:
    """Return what a child has inherited that has not ended; None for other greenlets."""
    values: Iterable[Any] = getattr(greenlet, "args", None) or ()
    return next((value for value in values if isinstance(value, Inherited)), None)


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
