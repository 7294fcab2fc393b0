"""`manage.py probe alive|ready|startup`: asks the ops port, for probes that run a command."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from concurrency.server.options import PROBES, OptionError
from concurrency.server.probe import ask, own

__all__ = ["Command"]


class Command(BaseCommand):  # type: ignore[misc]
    """Ask a probe of the service on this machine."""

    help = "Asks a probe of the service on this machine; exits with 1 when it is not content."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Add which one."""
        parser.add_argument("kind", choices=PROBES)

    def handle(self, *args: Any, kind: str, **options: Any) -> None:
        """Print what it says."""
        try:
            good, said = ask(kind, own())
        except OptionError as error:
            raise CommandError(str(error)) from None
        if not good:
            raise CommandError(said)
        self.stdout.write(said)
