"""System checks of how a project is served: middleware, gunicorn.conf.py, optional packages."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core import checks
from django.utils.module_loading import import_string

from concurrency.middleware import ConcurrencyMiddleware
from concurrency.observe import metrics
from concurrency.server import extras
from concurrency.server.option_sources import current
from concurrency.server.options import OptionError, ServeOptions

__all__ = ["check_extras", "check_gunicorn_file", "check_middleware", "count_workers"]

Messages = list[checks.CheckMessage]

_PATIENCE = 30.0  # seconds for the project's gunicorn.conf.py

_FIRST = "Make 'concurrency.middleware.ConcurrencyMiddleware' the first entry of MIDDLEWARE."


def check_middleware(**kwargs: Any) -> Messages:
    """Is the middleware there, and first?"""
    if not getattr(settings, "ROOT_URLCONF", None):
        return []  # nothing is served
    position = _position()
    if position is None:
        message = (
            "ConcurrencyMiddleware is missing from MIDDLEWARE: requests have no deadline, no "
            "request id and no line in the log."
        )
    elif position:
        before = ", ".join(settings.MIDDLEWARE[:position])
        message = (
            f"ConcurrencyMiddleware is not the first in MIDDLEWARE: {before} runs outside of the "
            f"request's deadline and without its id."
        )
    else:
        return []
    return [checks.Warning(message, hint=_FIRST, id="concurrency.W010")]


def _position() -> int | None:
    """Return the index of the middleware, or of a class that is derived from it."""
    for index, name in enumerate(settings.MIDDLEWARE):
        try:
            found = import_string(name)
        except ImportError:
            continue  # Django complains about it when it serves
        if inspect.isclass(found) and issubclass(found, ConcurrencyMiddleware):
            return index
    return None


def check_gunicorn_file(**kwargs: Any) -> Messages:
    """Would plain gunicorn, started here, do what `manage.py serve` does?"""
    if sys.argv[1:2] == ["serve"]:
        return []  # which adds them
    path = Path("gunicorn.conf.py")
    if not path.is_file() or _imports_server(path.read_text(encoding="utf-8")):
        return []
    return [
        checks.Info(
            "gunicorn.conf.py does not import this package's hooks. `manage.py serve` adds "
            "them; `gunicorn` itself serves without probes, metrics, commands before the start "
            "and load shedding.",
            hint="To start gunicorn itself, let the file say: from concurrency.server."
            "configuration import gunicorn_settings; from concurrency.server.hooks import *; "
            "globals().update(gunicorn_settings())",
            id="concurrency.I001",
        )
    ]


def _imports_server(text: str) -> bool:
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except SyntaxError:
        return True  # gunicorn says so
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    return any(name.startswith("concurrency.server") for name in names)


def check_extras(**kwargs: Any) -> Messages:
    """Is there an option whose package is not installed?"""
    try:
        options = current()
    except OptionError:
        return []  # check_settings complains
    found: Messages = [
        checks.Error(f"The option {line}", id="concurrency.E010")
        for line in extras.missing(options)
    ]
    if not (options.no_ops or options.no_metrics or metrics.is_installed()):
        found.append(
            checks.Info(
                f"{options.metrics_path} answers 404: prometheus-client is not installed.",
                hint=f"metrics: {extras.remedy('metrics')}, or CONCURRENCY['NO_METRICS'] = True.",
                id="concurrency.I002",
            )
        )
    return found


def count_workers() -> int:
    """Return how many workers `serve` would start here: `gunicorn.conf.py` may say it.

    About wrong options others complain.
    """
    command = [sys.executable, "-m", "concurrency.server.worker_count"]
    try:
        done = subprocess.run(  # noqa: S603 - a fixed argument list
            command, capture_output=True, text=True, timeout=_PATIENCE
        )
        return int(done.stdout.split()[-1])
    except (OSError, subprocess.TimeoutExpired, ValueError, IndexError):
        pass
    try:
        return current().worker_count
    except OptionError:
        return ServeOptions().worker_count
