"""Detects queries of a child greenlet whose parent waits for it inside ``atomic``."""

from __future__ import annotations

import warnings
import weakref
from typing import Any

from gevent import getcurrent

from concurrency import kinship, places
from concurrency.compat.django import is_of_test_case
from concurrency.conf import conf
from concurrency.db.errors import FanOutInAtomicBlock

_wrappers: weakref.WeakKeyDictionary[Any, dict[str, weakref.ref[Any]]]
_wrappers = weakref.WeakKeyDictionary()


def remember(wrapper: Any) -> None:
    """Record that the current greenlet uses a database through this wrapper."""
    _wrappers.setdefault(getcurrent(), {})[wrapper.alias] = weakref.ref(wrapper)


def wrapper_of(greenlet: Any, alias: str) -> Any:
    """Return the wrapper through which a greenlet uses a database, None if there is none."""
    reference = None if greenlet is None else _wrappers.get(greenlet, {}).get(alias)
    return None if reference is None else reference()


def users_of(alias: str) -> list[Any]:
    """Return the wrappers through which greenlets have used a database."""
    references = [wrappers.get(alias) for wrappers in list(_wrappers.values())]
    found = [reference() for reference in references if reference is not None]
    return [wrapper for wrapper in found if wrapper is not None]


def check(wrapper: Any) -> None:
    """Warn or raise when an ancestor waits for this greenlet inside ``atomic``.

    The caller can skip this while ``kinship.waiting`` and ``kinship.started_for_others`` are
    empty.

    Raises:
        FanOutInAtomicBlock: ``CONCURRENCY["FAN_OUT_IN_ATOMIC"]`` is "raise", or the
            transaction belongs to a test and the setting is not "allow".
    """
    for ancestor in kinship.ancestors():
        other = _in_atomic(ancestor.greenlet(), wrapper) if ancestor.is_waiting() else None
        if other is not None:
            _report(FanOutInAtomicBlock(wrapper.alias, in_test=_is_of_test(other)))
            return


def _in_atomic(greenlet: Any, wrapper: Any) -> Any:
    """Return the wrapper of a greenlet that is inside ``atomic`` on the same database, or None."""
    other = wrapper_of(greenlet, wrapper.alias)
    hides = other is not None and other is not wrapper and other.hides_from_children()
    return other if hides else None


def _is_of_test(wrapper: Any) -> bool:
    blocks = wrapper.atomic_blocks
    return bool(blocks) and is_of_test_case(blocks[0])


def _report(error: FanOutInAtomicBlock) -> None:
    policy = conf.FAN_OUT_IN_ATOMIC
    if policy == "raise" or (error.in_test and policy == "warn"):
        raise error
    frame = places.user_frame()
    if policy == "warn" and frame is not None:
        warnings.warn_explicit(
            str(error),
            RuntimeWarning,
            frame.f_code.co_filename,
            frame.f_lineno,
            # With the module's own registry a warning appears once for each place.
            registry=frame.f_globals.setdefault("__warningregistry__", {}),
        )
