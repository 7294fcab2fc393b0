"""`manage.py greenlets`: what the greenlets of this user's services do at this moment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from concurrency.server import folder
from concurrency.server.window import PATTERN, read

__all__ = ["Command"]

_COLUMNS = ("age", "greenlet", "request", "parent", "waits for", "sql")


class Command(BaseCommand):  # type: ignore[misc]
    """Ask the workers through their private sockets."""

    help = "Shows the greenlets of a service's workers: age, request, parent, wait and SQL."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Add which service."""
        parser.add_argument(
            "--arbiter", type=int, help="pid of one service's arbiter; default: all of yours"
        )

    def handle(self, *args: Any, arbiter: int | None, **options: Any) -> None:
        """Print a table for each worker."""
        try:
            services = [path for pid, path in folder.running() if arbiter in (None, pid)]
        except OSError as error:
            raise CommandError(str(error)) from None
        if not services:
            raise CommandError("no service of yours is running; see `manage.py serve`")
        for service in services:
            for path in sorted(service.glob(PATTERN)):
                self._show(path)

    def _show(self, path: Path) -> None:
        try:
            seen = read(path)
        except OSError:
            return  # a worker that has just ended
        rows = [tuple(map(str, _cells(one))) for one in seen]
        pid = path.stem.rpartition("-")[2]
        self.stdout.write(f"worker {pid}: {len(rows)} greenlets")
        for line in _aligned([_COLUMNS, *rows]):
            self.stdout.write(line)


def _cells(one: dict[str, Any]) -> tuple[str, ...]:
    age = "" if one["age"] is None else f"{one['age']:.1f} s"
    return (
        age,
        *(" ".join(one[key].split()) for key in ("name", "request", "parent", "waits", "sql")),
    )


def _aligned(rows: list[tuple[str, ...]]) -> Iterator[str]:
    """Yield rows as lines with their columns below each other; the last may be long."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        yield "  ".join(cells).rstrip()
