"""The exceptions that this package raises, and nothing else.

::

    ConcurrencyError
    ├── LatePatchError              (also RuntimeError)
    ├── DeadlineExceeded            (also TimeoutError)
    ├── LockTimeout                 (also TimeoutError)
    ├── TaskCancelled               (also concurrent.futures.CancelledError)
    ├── FanOutInAtomicBlock         (also django.db.utils.InterfaceError)
    └── PoolTimeout                 (also django.db.OperationalError)
        └── PoolStarvation

Each is also an exception that callers already catch. Those that are database
errors need Django, which must not be imported before the patch, so they are
defined in ``concurrency.db.errors`` and resolved here when first asked for.
"""

from __future__ import annotations

from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from concurrency.db.errors import FanOutInAtomicBlock, PoolStarvation, PoolTimeout

__all__ = [
    "ConcurrencyError",
    "DeadlineExceeded",
    "FanOutInAtomicBlock",
    "LatePatchError",
    "LockTimeout",
    "PoolStarvation",
    "PoolTimeout",
    "TaskCancelled",
]

_DATABASE_ERRORS = frozenset({"FanOutInAtomicBlock", "PoolStarvation", "PoolTimeout"})


class ConcurrencyError(Exception):
    """Base of every error of this package."""


class LatePatchError(ConcurrencyError, RuntimeError):
    """``concurrency.patch`` came after something that it had to come before.

    Attributes:
        findings: one ``(module, what it holds)`` pair for each unsafe module.
    """

    def __init__(self, findings: list[tuple[str, str]]) -> None:
        self.findings = tuple(findings)
        super().__init__(findings)

    @property
    def modules(self) -> tuple[str, ...]:
        """Names of the modules that were imported too early, each once."""
        return tuple(dict.fromkeys(module for module, _ in self.findings))

    def __str__(self) -> str:
        facts = "; ".join(f"{module} {what}" for module, what in self.findings)
        return (
            f"the patch came too late: {facts}. Make `import concurrency.patch` the first "
            f"statement of the entry point (manage.py, wsgi.py, gunicorn.conf.py, ...; for "
            f"pytest: -p concurrency.testing.plugin), so that it runs before the import of "
            f"{', '.join(self.modules)}."
        )


class DeadlineExceeded(ConcurrencyError, TimeoutError):
    """A ``with deadline(...)`` block took longer than it was given.

    Attributes:
        seconds: the limit that was exceeded, in seconds.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(seconds)

    def __str__(self) -> str:
        return f"deadline of {self.seconds:g} s exceeded"


class LockTimeout(ConcurrencyError, TimeoutError):
    """Another session held a lock of the database for the whole wait.

    Attributes:
        name: the name of the lock.
        alias: the alias of the database.
        seconds: how long the caller waited.
    """

    def __init__(self, name: str, alias: str, *, seconds: float) -> None:
        self.name = name
        self.alias = alias
        self.seconds = seconds
        super().__init__(name, alias)

    def __str__(self) -> str:
        return (
            f"lock {self.name!r} of database {self.alias!r}: another session held it for "
            f"{self.seconds:g} s. Wait longer, or find out why the holder needs so long."
        )


class TaskCancelled(ConcurrencyError, CancelledError):
    """The task whose result was requested has been cancelled."""


def __getattr__(name: str) -> Any:
    if name not in _DATABASE_ERRORS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from concurrency.db import errors

    value = globals()[name] = getattr(errors, name)
    return value
