"""Which project a process belongs to, so that services of several ones can be told apart."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

__all__ = ["folder_of_project", "settings_name"]


def settings_name() -> str:
    """Return the dotted name of the settings, empty where they have none."""
    return os.environ.get("DJANGO_SETTINGS_MODULE", "")


def folder_of_project() -> str:
    """Return the folder that has the settings' package; without one, where the process runs."""
    top = settings_name().partition(".")[0]
    spec = find_spec(top) if top and top not in sys.builtin_module_names else None
    if spec is not None and spec.submodule_search_locations:
        return str(Path(next(iter(spec.submodule_search_locations))).resolve().parent)
    if spec is not None and spec.origin is not None:
        return str(Path(spec.origin).resolve().parent)
    return str(Path.cwd())
