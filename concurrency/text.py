"""``printable``: makes external text safe in a log line or an error message.

Code that logs or reports external text (a path, a header, a method) passes it through
``printable`` once. Imports nothing of this package.
"""

from __future__ import annotations

import re

__all__ = ["printable"]

# What can end a line, move a cursor, colour a terminal or turn the direction of writing:
# control characters of ASCII and Latin-1, Unicode's line ends and directions, and the
# surrogates that stand for bytes that were no text.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    r"""Return a text with escapes (``\n``, ``\x1b``, ``\u2028``) for what is not printable.

    Applying it twice changes nothing more.
    """
    if text.isascii() and text.isprintable():
        return text
    return _UNSAFE.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")
