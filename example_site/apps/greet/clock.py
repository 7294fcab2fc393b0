"""Reads a time of day as it stands in an address."""

from __future__ import annotations

import re
from datetime import time

__all__ = ["read_time"]

_FORM = re.compile(r"([0-9]{2}):([0-9]{2}):([0-9]{2})")


def read_time(text: str) -> time:
    """Return the time of day that ``18:03:09`` stands for.

    Raises:
        ValueError: it has another form, or there is no such time.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not like 18:03:09")
    hour, minute, second = map(int, found.groups())
    return time(hour, minute, second)
