"""`manage.py migrations`: is every database migrated? Wait for it, or see to it."""

from __future__ import annotations

import time
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.utils import DatabaseError

from concurrency.db.locks import advisory_lock
from concurrency.errors import LockTimeout
from concurrency.server.databases import aliases, pending, unreachable

__all__ = ["Command"]

_LOOK = 0.5  # seconds between two looks
_LOCK = "concurrency: migrate"


class Command(BaseCommand):  # type: ignore[misc]
    """Look whether migrations are pending, for all databases."""

    help = (
        "Fails when a database is not migrated or does not answer. With --wait, waits until "
        "all are; with --apply, migrates those that are not, one process at a time by a "
        "lock of the database."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Add what to do, and for how long."""
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--wait", action="store_true", help="wait until all are migrated")
        what.add_argument("--apply", action="store_true", help="migrate those that are not")
        parser.add_argument(
            "--timeout", type=float, default=300.0, help="seconds to wait (default 300)"
        )

    def handle(self, *args: Any, wait: bool, apply: bool, timeout: float, **options: Any) -> None:
        """Go through all databases."""
        end = time.monotonic() + timeout
        for alias in aliases():
            state = _state(alias)
            while state is not None and (wait or (apply and state.startswith("unreachable"))):
                if time.monotonic() > end:
                    raise CommandError(f"{alias!r} after {timeout:g} s: {state}")
                time.sleep(_LOOK)
                state = _state(alias)
            if state is not None and apply:
                state = self._migrate(alias, end - time.monotonic())
            if state is not None:
                raise CommandError(f"{alias!r}: {state}")

    def _migrate(self, alias: str, seconds: float) -> str | None:
        """Migrate a database, unless somebody else has done it while we waited for the lock."""
        try:
            with advisory_lock(_LOCK, using=alias, timeout=max(seconds, 0.0)):
                if _state(alias) is None:
                    return None
                call_command("migrate", database=alias, interactive=False, stdout=self.stdout)
                # Asked again and not tried again: what is left now would be left the next time.
                return _state(alias)
        except LockTimeout as error:
            raise CommandError(f"{alias!r}: somebody else migrates it. {error}") from None


def _state(alias: str) -> str | None:
    """Return what is wrong with a database, or None."""
    error = unreachable(alias)
    if error is not None:
        return f"unreachable: {error}"
    try:
        left = pending(alias)
    except DatabaseError as failure:
        return f"unreachable: {type(failure).__name__}"
    return f"{len(left)} migrations are pending, the first is {left[0]}" if left else None
