"""Reads what a page was asked for: whom to greet, in which language, at what time of day."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import time

from django.http import HttpRequest
from django.utils import timezone, translation

from example_site.apps.ui.welcome import BadTime

__all__ = ["Asked", "read"]

# The service knows which times there are; what has another form does not even go there.
_TIME = re.compile(r"[0-9]{2}:[0-9]{2}(:[0-9]{2})?")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a page was asked for.

    Attributes:
        person: the slug of a person; may be empty.
        lang: the language of the greeting, as it was given or else that of the page.
        tod: the time of day as it was given; may be empty.
    """

    person: str
    lang: str
    tod: str

    @property
    def moment(self) -> str:
        """The time of day, such as ``18:03:09``; now, in UTC, when none was given.

        Raises:
            BadTime: what was given has another form.
        """
        if not self.tod:
            return timezone.now().strftime("%H:%M:%S")
        found = _TIME.fullmatch(self.tod)
        if found is None:
            raise BadTime(self.tod)
        # Browsers leave the seconds out when they are zero.
        return self.tod if found[1] else f"{self.tod}:00"

    @property
    def tod_for_form(self) -> str:
        """The time of day as far as a form can show it; empty if it is none."""
        try:
            time.fromisoformat(self.moment)
        except (BadTime, ValueError):
            return ""
        return self.tod


def read(request: HttpRequest) -> Asked:
    """Return what the query string asks for; the language falls back to that of the page."""
    return Asked(
        person=request.GET.get("person", "").strip(),
        lang=request.GET.get("lang", "").strip().lower() or translation.get_language(),
        tod=request.GET.get("tod", "").strip(),
    )
