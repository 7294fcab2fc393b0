"""Places in the user's code, for messages: file and line, without the libraries.

A place is taken as a code object and a line, which costs next to nothing, and becomes text
only when it is read.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath
from types import CodeType, FrameType
from typing import Any, TypeAlias

Place: TypeAlias = tuple[CodeType, int]

_OURS = f"{Path(__file__).parent}/"

# Parts of the paths of code that the user has installed and not written.
_LIBRARIES = ("/site-packages/", "/dist-packages/", "/lib/python", "/gevent/")


def caller() -> Place | None:
    """Return where this package was called from."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if not code.co_filename.startswith(_OURS):
            return code, frame.f_lineno
        frame = frame.f_back
    return None


def user_frame() -> FrameType | None:
    """Return the innermost frame of the user's code that is running.

    Without one, the innermost frame that is neither of this package nor of gevent: an
    application may itself be installed as a library.
    """
    frames = list(outwards(sys._getframe(1)))
    own = first_of_user(frames)
    return own or next((frame for frame in frames if not is_machinery(frame.f_code)), None)


def first_of_user(frames: Iterable[FrameType]) -> FrameType | None:
    """Return the first frame that is not of a library, None if there is none."""
    return next((frame for frame in frames if not is_library(frame.f_code)), None)


def user_place() -> str | None:
    """Return file, line and function of the user's code that is running."""
    frame = user_frame()
    return None if frame is None else f"{line_of(frame)} in {frame.f_code.co_name}"


def is_library(code: CodeType) -> bool:
    """Return whether code is not the user's own."""
    path = code.co_filename
    return path.startswith((_OURS, "<frozen")) or any(part in path for part in _LIBRARIES)


def is_machinery(code: CodeType) -> bool:
    """Return whether code is of this package or of gevent."""
    return code.co_filename.startswith(_OURS) or "/gevent/" in code.co_filename


def outwards(frame: Any) -> Iterator[Any]:
    """Yield a frame and those that called it, the innermost first.

    Args:
        frame: of Python, or one of those that gevent keeps of a spawning greenlet.
    """
    while frame is not None:
        yield frame
        frame = frame.f_back


def line_of(frame: Any) -> str:
    """Return file and line of a frame."""
    return text_of((frame.f_code, frame.f_lineno))


def text_of(place: Place) -> str:
    """Return file and line of a place."""
    code, line = place
    return f"{PurePath(code.co_filename).name}:{line}"
