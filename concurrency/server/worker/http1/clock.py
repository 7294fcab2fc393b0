"""``clock``: the fields of responses that are the same for a whole second."""

from __future__ import annotations

import time
from email.utils import formatdate

from gunicorn import SERVER

__all__ = ["clock"]


class Clock:
    """The lines that are the same for all responses of a second."""

    __slots__ = ("_lines", "_second")

    def __init__(self) -> None:
        self._second = 0
        self._lines = ""

    def lines(self) -> str:
        """Return the fields Server and Date."""
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._lines = f"Server: {SERVER}\r\nDate: {formatdate(second, usegmt=True)}\r\n"
        return self._lines


clock = Clock()
