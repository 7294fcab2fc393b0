"""Detects which of Django's methods a third-party backend overrides.

Django's own methods need not run again for a session that they have already set up. What an
overridden one does is unknown, so it runs whenever Django would call it.
"""

from __future__ import annotations

from functools import cache

_KNOWN = ("django.", "concurrency.")

#: Called by ``close()``, and where a lease is given back.
CLOSING = ("close", "_close", "validate_thread_sharing")

#: Called by ``connect()`` after a connection was made.
SET_UP = ("check_settings", "set_autocommit", "_set_autocommit", "init_connection_state")


@cache
def overrides(kind: type, *names: str) -> bool:
    """Return whether a class outside Django and this package defines one of the methods."""
    others = [base for base in kind.__mro__ if not f"{base.__module__}.".startswith(_KNOWN)]
    return any(name in vars(base) for base in others for name in names)
