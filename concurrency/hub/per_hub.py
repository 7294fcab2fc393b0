"""State that belongs to one hub: created at first use, and gone with the hub."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from gevent.hub import get_hub

from concurrency.compat.gevent import get_hub_if_exists

T = TypeVar("T")

_ATTRIBUTE = "_concurrency_state"


def per_hub(key: str, make: Callable[[Any], T]) -> T:
    """Return the object that this thread's hub has under a name.

    Args:
        key: the dotted name of the module that owns the object, and the object's name.
        make: called with the hub to create the object.
    """
    state = _state_of(get_hub())
    if key not in state:
        state[key] = make(get_hub())
    return cast("T", state[key])


def forget(key: str) -> Any:
    """Remove and return the object that this thread's hub has under a name, or None."""
    hub = get_hub_if_exists()
    return None if hub is None else _state_of(hub).pop(key, None)


def _state_of(hub: Any) -> dict[str, Any]:
    state: dict[str, Any] = vars(hub).setdefault(_ATTRIBUTE, {})
    return state
