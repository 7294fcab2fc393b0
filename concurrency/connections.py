"""Finds the connections that a greenlet uses, without asking for each alias.

Django looks for them at the start and at the end of each request, and this package does
when a greenlet waits or ends. Django's own way costs some microseconds for each alias that
is not in use. What it finds is the same.
"""

from __future__ import annotations

from typing import Any

from django.db import connections
from django.utils.connection import BaseConnectionHandler

from concurrency.compat import asgiref, django
from concurrency.compat.asyncio import running_loop

__all__ = ["install"]


def _all(initialized_only: bool = False) -> list[Any]:
    """Return the connections of this greenlet, as ``ConnectionHandler.all`` does."""
    if not initialized_only or running_loop() is not None:
        found: list[Any] = BaseConnectionHandler.all(connections, initialized_only)
        return found
    in_use = asgiref.kept_by_greenlet(django.storage(connections))
    return [in_use[alias] for alias in connections.settings if alias in in_use] if in_use else []


def install() -> None:
    """Find them so from now on, if asgiref keeps them where they are looked for."""
    if asgiref.can_show_kept(django.storage(connections)):
        connections.all = _all
