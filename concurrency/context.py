"""What a child greenlet inherits.

A greenlet of gevent starts with an empty context: context variables have their defaults,
and Django falls back to the default language and time zone. ``capture()`` records the state
of the parent, ``Inherited.apply()`` activates it in the child. Database connections and
transactions are never inherited.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from contextvars import Context, ContextVar, copy_context
from typing import Any, NamedTuple

from concurrency import kinship, places

__all__ = ["Inherited", "activity", "capture", "inherited_by"]

#: The current work, for messages: a request such as "GET /path/", or the name of a job.
activity: ContextVar[str | None] = ContextVar("concurrency.activity", default=None)


class Inherited(NamedTuple):
    """What children inherit from their parent; one instance may serve many children.

    Attributes:
        variables: the context variables.
        settings: functions that activate Django's per-request settings, each with its value.
        place: where the parent starts them.
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
    """Return what a child that is started now inherits."""
    variables = copy_context()
    variables.run(kinship.become_parent)
    return Inherited(variables, tuple(_django_settings()), places.caller())


def inherited_by(greenlet: Any) -> Inherited | None:
    """Return what a child inherited, while it has not ended; None for other greenlets."""
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
