"""Notices database work of a child whose parent waits for it inside ``atomic``."""

from __future__ import annotations

import sys
import warnings
import weakref
from pathlib import PurePath
from types import FrameType
from typing import Any

from gevent import getcurrent

from concurrency import context
from concurrency.conf import conf
from concurrency.db.errors import FanOutInAtomicBlock

# Frames of these packages are not where a user did something.
_PACKAGES = ("concurrency.", "django.", "gevent.")

_wrappers: weakref.WeakKeyDictionary[Any, dict[str, weakref.ref[Any]]]
_wrappers = weakref.WeakKeyDictionary()


def remember(wrapper: Any) -> None:
    """Take note that the current greenlet uses a database through this wrapper."""
    _wrappers.setdefault(getcurrent(), {})[wrapper.alias] = weakref.ref(wrapper)


def users_of(alias: str) -> list[Any]:
    """Return the wrappers through which greenlets have used a database."""
    references = [wrappers.get(alias) for wrappers in list(_wrappers.values())]
    found = [reference() for reference in references if reference is not None]
    return [wrapper for wrapper in found if wrapper is not None]


def check(wrapper: Any) -> None:
    """Warn or raise when an ancestor waits for this greenlet inside ``atomic``.

    Need not be called while ``context.waiting`` and ``context.others_started`` are empty.

    Raises:
        FanOutInAtomicBlock: if ``CONCURRENCY["FAN_OUT_IN_ATOMIC"]`` is "raise".
    """
    ancestor = context.ancestor()
    while ancestor is not None:
        greenlet = ancestor.greenlet()
        waits = ancestor.waits or greenlet in context.waiting
        if waits and _is_in_atomic(greenlet, wrapper):
            _report(wrapper.alias)
            return
        ancestor = ancestor.outer


def _is_in_atomic(greenlet: Any, wrapper: Any) -> bool:
    reference = _wrappers.get(greenlet, {}).get(wrapper.alias)
    other = None if reference is None else reference()
    return other is not None and other is not wrapper and other.hides_from_children()


def _report(alias: str) -> None:
    error = FanOutInAtomicBlock(alias)
    policy = conf.FAN_OUT_IN_ATOMIC
    if policy == "raise":
        raise error
    frame = user_frame()
    if policy == "warn" and frame is not None:
        warnings.warn_explicit(
            str(error),
            RuntimeWarning,
            frame.f_code.co_filename,
            frame.f_lineno,
            # The module's own registry is what makes a warning appear once for a place.
            registry=frame.f_globals.setdefault("__warningregistry__", {}),
        )


def user_frame() -> FrameType | None:
    """Return the innermost frame that is not of a library below the user's code."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if not f"{frame.f_globals.get('__name__', '')}.".startswith(_PACKAGES):
            return frame
        frame = frame.f_back
    return None


def user_place() -> str | None:
    """Return file and line of the user's code that is running, for people to read."""
    frame = user_frame()
    if frame is None:
        return None
    return f"{PurePath(frame.f_code.co_filename).name}:{frame.f_lineno} in {frame.f_code.co_name}"
