"""`manage.py migrations`: is every database migrated? Wait for it, or see to it."""

from __future__ import annotations

import time
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from concurrency.db.locks import advisory_lock
from concurrency.errors import LockTimeout
from concurrency.server.databases import aliases, missing_folder, quietly, unmigrated, unreachable

__all__ = ["Command"]

_LOOK = 0.5  # seconds between two looks
_LOCK = "concurrency: migrate"


class Command(BaseCommand):  # type: ignore[misc]
    """Look whether migrations are pending, for all databases."""

    help = (
        "Says for each database whether all migrations are applied; fails when they are not, or "
        "when a database does not answer. With --wait, waits until "
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
        failed = []
        for alias in aliases():
            state = self._wait(alias, end, timeout, wait=wait, apply=apply)
            if state is not None and apply:
                state = self._migrate(alias, end - time.monotonic())
            if state is None:
                self.stdout.write(f"{alias!r}: all migrations are applied")
            else:
                failed.append(f"{alias!r}: {state}")
        if failed:
            raise CommandError("\n".join(failed))

    def _wait(
        self, alias: str, end: float, timeout: float, *, wait: bool, apply: bool
    ) -> str | None:
        """Return what is wrong with a database, when there is nothing left to wait for."""
        said = None
        while (state := _state(alias)) is not None:
            if not (wait or (apply and state.startswith("unreachable"))):
                break
            if time.monotonic() > end:
                raise CommandError(f"{alias!r} after {timeout:g} s: {state}")
            if state != said:
                self.stdout.write(f"{alias!r}: {state}; waiting")
                self.stdout.flush()
            said = state
            time.sleep(_LOOK)
        return state

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
    if folder := missing_folder(alias):
        return f"the folder {folder} of SQLite's file does not exist"
    with quietly():
        error = unreachable(alias, details=True)
    if error is not None:
        return f"unreachable: {error}"
    return unmigrated(alias)
