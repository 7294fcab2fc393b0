"""A process that stays as it is, whatever the application patches while it is loaded."""

from __future__ import annotations

from typing import Any

from gevent import monkey

__all__ = ["stay_unpatched"]


def stay_unpatched() -> None:
    """Let a project that patches by itself leave this process alone, whose threads are native."""
    for name in monkey.__all__:
        if name.startswith("patch_"):
            setattr(monkey, name, _patch_nothing)


def _patch_nothing(*args: Any, **kwargs: Any) -> None:
    """Take the place of gevent's functions that patch."""
