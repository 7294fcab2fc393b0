"""Finds the name of Django's settings module in the application's own module.

A fresh project sets DJANGO_SETTINGS_MODULE in `wsgi.py`, which the arbiter and the ops
process do not execute. They read its source instead.
"""

from __future__ import annotations

import ast
import os
from importlib.util import find_spec
from pathlib import Path

__all__ = ["VARIABLE", "find", "note"]

VARIABLE = "DJANGO_SETTINGS_MODULE"


def note(application: str | None) -> None:
    """Put the name into this process's environment, unless it is set or cannot be found.

    Args:
        application: gunicorn's application, `module:name`; None if unknown.
    """
    if application and not os.environ.get(VARIABLE) and (found := find(application)):
        os.environ[VARIABLE] = found


def find(application: str) -> str | None:
    """Return the name that the module of an application sets as a constant, or None."""
    try:
        spec = find_spec(application.partition(":")[0])
        if spec is None or spec.origin is None:
            return None
        tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    except (ImportError, OSError, SyntaxError, ValueError):
        return None  # gunicorn reports the error when it loads the module
    for node in ast.walk(tree):
        match node:
            case ast.Call(args=[ast.Constant(value=name), ast.Constant(value=str(value))]):
                if name == VARIABLE:
                    return value
            case ast.Assign(
                targets=[ast.Subscript(slice=ast.Constant(value=name))],
                value=ast.Constant(value=str(value)),
            ):
                if name == VARIABLE:
                    return value
    return None
