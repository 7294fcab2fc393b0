"""Checks, when Django is set up, whether the gunicorn that loads the application fits.

For a gunicorn that is not configured for this package: `manage.py serve`, and a
configuration with this package's hooks, need no such check.
"""

from __future__ import annotations

import inspect
import sys
from typing import Any

from gunicorn.arbiter import Arbiter
from gunicorn.errors import AppImportError
from gunicorn.workers.base import Worker

from concurrency.patching.lateness import is_patched
from concurrency.server import hooks, worker_class

__all__ = ["examine", "unset"]

#: A gunicorn.conf.py with these lines makes `gunicorn` do what `manage.py serve` does.
LINES = (
    "from concurrency.server.configuration import gunicorn_settings",
    "from concurrency.server.hooks import *",
    "globals().update(gunicorn_settings())",
)

_WITHOUT_HOOKS = "probes, metrics, commands before the start, limits for bodies"


def examine() -> None:
    """Refuse a worker that cannot serve greenlets; log once what else is missing.

    Raises:
        AppImportError: in a worker; gunicorn prints its one line and ends.
    """
    found = _process() if is_patched() else None
    if found is None:
        return
    complaint = worker_class.problem(found.cfg.worker_class)
    if complaint:
        _refuse(found, f"{complaint}. In gunicorn.conf.py write: {'; '.join(LINES)}")
    # One line for each start: a worker that replaces another one logs nothing.
    if getattr(found, "age", 1) == 1 and (lacks := _lacks(found.cfg)):
        found.log.warning(
            "this gunicorn serves without %s. `manage.py serve` has them, and a gunicorn.conf.py "
            "that says: %s",
            lacks,
            "; ".join(LINES),
        )


def unset(cfg: Any) -> list[str]:
    """Return this package's hooks that a configuration of gunicorn does not set."""
    return [
        name
        for name in hooks.__all__
        if getattr(cfg.settings[name].get(), "__module__", "").startswith("gunicorn.")
    ]


def _lacks(cfg: Any) -> str:
    """Return what does not work with a configuration, separated by commas."""
    found = [_WITHOUT_HOOKS] if unset(cfg) else []
    if found and not worker_class.has_everything(cfg.worker_class):
        found.append(worker_class.LACKING)
    return ", ".join(found)


def _refuse(process: Any, line: str) -> None:
    if isinstance(process, Worker):
        raise AppImportError(f"gunicorn: {line}")
    sys.exit(f"gunicorn: {line}")


def _process() -> Any:
    """Return the gunicorn worker, or with --preload the arbiter, that loads the application."""
    frame = inspect.currentframe()
    while frame is not None:
        owner = frame.f_locals.get("self")
        if isinstance(owner, Worker | Arbiter):
            return owner
        frame = frame.f_back
    return None
