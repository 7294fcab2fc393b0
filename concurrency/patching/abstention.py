"""Keeps a process unpatched even if the application patches while it is loaded."""

from __future__ import annotations

from typing import Any

from gevent import monkey

__all__ = ["stay_unpatched"]


def stay_unpatched() -> None:
    """Make the patch calls of a project have no effect in this process; its threads are native."""
    for name in monkey.__all__:
        if name.startswith("patch_"):
            setattr(monkey, name, _patch_nothing)


def _patch_nothing(*args: Any, **kwargs: Any) -> None:
    """Replace gevent's patch functions."""
