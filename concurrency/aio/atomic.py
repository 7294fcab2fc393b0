"""``ATOMIC_REQUESTS`` for asynchronous views.

Django refuses it, because a transaction belongs to a thread and a coroutine has none. Here
the coroutine's queries run in the request's greenlet, which can be in a transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from asgiref.sync import async_to_sync, iscoroutinefunction
from django.core.handlers.base import BaseHandler
from django.db import connections

from concurrency.compat.asyncio import COROUTINE_MARKS
from concurrency.compat.django import atomic_exemptions


def install() -> None:
    """Let handlers put asynchronous views into a transaction; idempotent."""
    if not hasattr(BaseHandler.make_view_atomic, "__wrapped__"):
        BaseHandler.make_view_atomic = _waiting(BaseHandler.make_view_atomic)


def _waiting(make_view_atomic: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(make_view_atomic)
    def make_atomic(self: BaseHandler, view: Callable[..., Any]) -> Any:
        if iscoroutinefunction(view) and _is_to_be_atomic(view):
            view = _synchronous(view)
        return make_view_atomic(self, view)

    return make_atomic


def _synchronous(view: Callable[..., Any]) -> Callable[..., Any]:
    """Return a sync view that runs an asynchronous one, and keeps its attributes."""

    @wraps(view)
    def waiting(*args: Any, **kwargs: Any) -> Any:
        return async_to_sync(view)(*args, **kwargs)

    for mark in COROUTINE_MARKS:
        vars(waiting).pop(mark, None)
    return waiting


def _is_to_be_atomic(view: Callable[..., Any]) -> bool:
    exempt = atomic_exemptions(view)
    return any(
        settings["ATOMIC_REQUESTS"] and alias not in exempt
        for alias, settings in connections.settings.items()
    )
