"""`manage.py serve`: gunicorn with a worker for greenlets and what its configuration lacks.

Owns the command line. What is given goes into the environment, and this process becomes
gunicorn: there is nothing left of the command that could go wrong later.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from concurrency.server import configuration, extras, gunicorn_file
from concurrency.server.arbiter import survey
from concurrency.server.databases import aliases, missing_folder
from concurrency.server.option_sources import collect, to_text, variable
from concurrency.server.options import OptionError, ServeOptions, build

__all__ = ["Command"]


class Command(BaseCommand):  # type: ignore[misc]
    """Serve the application."""

    help = (
        "Serves the application: gunicorn with a worker for greenlets, probes and metrics on a "
        "port of their own. Each option is also an environment variable, shown in brackets, "
        "and a key of the setting CONCURRENCY (PORT). An option that is given beats the "
        "environment, which beats gunicorn.conf.py, which beats the setting."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add an option for each field of the table."""
        for field in fields(ServeOptions):
            if not field.metadata["secret"]:
                _add(parser, field)
        parser.add_argument(
            "gunicorn",
            nargs="*",
            help="after `--`: options of gunicorn's own, such as --certfile",
        )

    def handle(self, *args: Any, **given: Any) -> None:
        """Become gunicorn, which prints the start screen when its port is open."""
        names = [field.name for field in fields(ServeOptions)]
        given_here = {name: given[name] for name in names if given.get(name) is not None}
        try:
            options = build(
                collect(given=given_here, settings=getattr(settings, "CONCURRENCY", {}))
            )
        except OptionError as error:
            raise CommandError(str(error)) from None
        _check(options)
        for name, value in given_here.items():
            os.environ[variable(name)] = to_text(value)
        command = _command(options, set(given_here), given["gunicorn"])
        survey.hand_over(survey.survey())
        os.execv(sys.executable, command)  # noqa: S606 - our own interpreter, no shell


def _add(parser: CommandParser, field: Field[Any]) -> None:
    name = f"--{field.name.replace('_', '-')}"
    variables = [variable(field.name), *filter(None, [field.metadata["also"]])]
    text = f"{field.metadata['help']} [{', '.join(variables)}]".replace("%", "%%")
    if isinstance(field.default, bool):
        action: Any = argparse.BooleanOptionalAction
        if field.name.startswith("no_"):
            parser.add_argument(name, action="store_true", default=None, help=text)
            positive = name.replace("--no-", "--")
            parser.add_argument(
                positive, action="store_false", dest=field.name, default=None, help="the opposite"
            )
        else:
            parser.add_argument(name, action=action, default=None, help=text)
    elif isinstance(field.default, tuple):
        parser.add_argument(name, action="append", metavar="X", help=text)
    else:
        kind = type(field.default)
        shown = f"{text} (default {field.default})" if field.default not in ("", ()) else text
        parser.add_argument(name, type=kind, metavar=kind.__name__.upper(), help=shown)


def _check(options: ServeOptions) -> None:
    """Complain about what would only fail later, file by file."""
    if lines := extras.missing(options):
        raise CommandError("; ".join(lines))
    if options.static and not settings.DEBUG:
        root = getattr(settings, "STATIC_ROOT", None)
        if not root or not Path(root).is_dir():
            raise CommandError(
                f"--static serves STATIC_ROOT, which is {str(root)!r} and no folder: run "
                f"`manage.py collectstatic`, or give --command 'collectstatic --no-input'."
            )
    if options.media and not getattr(settings, "MEDIA_ROOT", ""):
        raise CommandError("--media serves MEDIA_ROOT, which is not set.")
    for alias in aliases():
        if folder := missing_folder(alias):
            raise CommandError(
                f"DATABASES[{alias!r}]: the folder {folder} of SQLite's file does not exist."
            )
    if not getattr(settings, "WSGI_APPLICATION", None):
        raise CommandError("WSGI_APPLICATION is not set, so there is nothing to serve.")


def _command(options: ServeOptions, given: set[str], own: list[str]) -> list[str]:
    """Return the command line of gunicorn.

    The configuration of this package takes the project's own along.
    """
    try:
        location = gunicorn_file.locate(own)
    except FileNotFoundError as error:
        raise CommandError(str(error)) from None
    if location is not None:
        os.environ[gunicorn_file.VARIABLE] = location
    module, _, name = settings.WSGI_APPLICATION.rpartition(".")
    arguments = []
    for setting, value in configuration.translate(options).items():
        # GUNICORN_CMD_ARGS beats every configuration, but not what was given here.
        if given.intersection(configuration.DECIDED_BY.get(setting, (setting,))) and (
            gunicorn_file.asked_of_gunicorn(setting, []) is not None
        ):
            arguments.append(f"--{setting.replace('_', '-')}={value}")
    gunicorn = [*arguments, *own, f"--config={configuration.FILE}", f"{module}:{name}"]
    if options.reload:
        return [sys.executable, "-m", "concurrency.server.arbiter.reload", *gunicorn]
    return [sys.executable, "-m", "gunicorn", *gunicorn]
