"""Help for test suites: of users, and of this package.

This module is the export table; each name is resolved when it is first asked for,
so that importing it imports nothing else. ``plugin`` is for pytest.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from concurrency.testing.kills import kill_at_every_switch
    from concurrency.testing.leaks import assert_nothing_left
    from concurrency.testing.proxy import TCPProxy
    from concurrency.testing.sharing import SharedConnectionsMixin, shared_connections

__all__ = [
    "SharedConnectionsMixin",
    "TCPProxy",
    "assert_nothing_left",
    "kill_at_every_switch",
    "shared_connections",
]

_HOMES = {
    "SharedConnectionsMixin": "sharing",
    "TCPProxy": "proxy",
    "assert_nothing_left": "leaks",
    "kill_at_every_switch": "kills",
    "shared_connections": "sharing",
}


def __getattr__(name: str) -> Any:
    try:
        home = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    value = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
