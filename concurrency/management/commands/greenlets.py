"""`manage.py greenlets`: what the greenlets of a project's services do at this moment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from concurrency.server import folder
from concurrency.server.project import folder_of_project
from concurrency.server.worker.window import PATTERN, read

__all__ = ["Command"]

_COLUMNS = ("age", "greenlet", "request", "parent", "waits for", "sql")


class Command(BaseCommand):  # type: ignore[misc]
    """Ask the workers through their private sockets."""

    help = "Shows the greenlets of a service's workers: age, request, parent, wait and SQL."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Add which service."""
        parser.add_argument(
            "--arbiter", type=int, help="pid of one service's arbiter; default: all of the project"
        )
        parser.add_argument(
            "--all",
            action="store_true",
            dest="everything",
            help="services of other projects and greenlets of libraries, too",
        )

    def handle(
        self, *args: Any, arbiter: int | None = None, everything: bool = False, **options: Any
    ) -> None:
        """Print a table for each worker."""
        try:
            services = [path for pid, path in folder.running() if arbiter in (None, pid)]
        except OSError as error:
            raise CommandError(str(error)) from None
        if not services:
            raise CommandError("no service of yours is running; see `manage.py serve`")
        project = None if everything or arbiter is not None else folder_of_project()
        paths = [path for service in services for path in sorted(service.glob(PATTERN))]
        if not [path for path in paths if self._show(path, project, everything)]:
            raise CommandError(
                f"no worker of {project or 'your services'} is running"
                f"{'; --all shows those of other projects' if project and paths else ''}"
            )

    def _show(self, path: Path, project: str | None, everything: bool) -> bool:
        """Print what a worker shows, if it is of the project; return whether it is."""
        try:
            shown = read(path)
        except OSError:
            return False  # a worker that has just ended
        service = shown["service"]
        if project not in (None, service["project"]):
            return False
        seen = [one for one in shown["greenlets"] if everything or not one["internal"]]
        hidden = len(shown["greenlets"]) - len(seen)
        rows = [tuple(map(str, _cells(one))) for one in seen]
        pid = path.stem.rpartition("-")[2]
        left_out = f", and {hidden} of libraries (--all shows them)" if hidden else ""
        self.stdout.write(f"{_name(service)}, worker {pid}: {len(rows)} greenlets{left_out}")
        for line in _aligned([_COLUMNS, *rows]) if rows else ():
            self.stdout.write(line)
        return True


def _name(service: dict[str, str]) -> str:
    where = service["settings"] or service["project"]
    return f"{where} at {service['addresses']}" if service["addresses"] else where


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
