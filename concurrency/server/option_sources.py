"""Where the values of options come from: command line, environment, file, settings.

An option that is given beats the environment (`CONCURRENCY_<NAME>`) beats the project's
`gunicorn.conf.py` beats the setting (`CONCURRENCY["<NAME>"]`) beats the default. `serve` puts
what it was given into the environment, so every process of the service finds the same by
`current()`. Importing it imports neither Django nor gevent.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping
from typing import Any

from concurrency.server.options import KINDS, TABLE, OptionError, ServeOptions, build, problem
from concurrency.values import truth_of

__all__ = ["collect", "current", "identity", "resolve", "to_text", "variable"]


def variable(name: str) -> str:
    """Return the environment variable of an option."""
    return f"CONCURRENCY_{name.upper()}"


def resolve(
    *,
    given: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    file: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> ServeOptions:
    """Return the options out of their sources.

    Args:
        given: those of the command line, by field name; None counts as not given.
        environ: the environment, else this process's.
        file: what a `gunicorn.conf.py` says, by field name.
        settings: the setting `CONCURRENCY`.

    Raises:
        OptionError: a value has the wrong type or is too small, or two do not go together.
    """
    return build(collect(given=given, environ=environ, file=file, settings=settings))


def collect(
    *,
    given: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    file: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the values that have another source than the default; as `resolve`."""
    values = {name: value for name, value in (given or {}).items() if value is not None}
    environ = os.environ if environ is None else environ
    file, settings = file or {}, settings or {}
    for name, found in TABLE.items():
        for key in (variable(name), found.metadata["also"]):
            text = environ.get(key, "").strip() if key else ""
            if name not in values and text:
                values[name] = _cast(name, key, text)
        if name not in values and name in file:
            values[name] = file[name]
        if name not in values and name.upper() in settings:
            value = settings[name.upper()]
            values[name] = tuple(value) if isinstance(value, list) else value
    for name, value in values.items():
        if complaint := problem(name, value):
            raise OptionError(f"{name.replace('_', '-')} {complaint}")
    return values


def _cast(name: str, key: str, text: str) -> Any:
    """Return the value of a variable's text: `false` is false."""
    kind = KINDS[name]
    if kind is bool:
        truth = truth_of(text)
        if truth is None:
            raise OptionError(f"{key} in the environment is {text!r}: write true or false")
        return truth
    if kind == tuple[str, ...]:
        parts = text.replace("\n", ";").split(";")
        return tuple(part.strip() for part in parts if part.strip())
    try:
        return kind(text)
    except ValueError:
        noun = "whole number" if kind is int else "number"
        raise OptionError(f"{key} in the environment is {text!r}, not a {noun}") from None


def to_text(value: Any) -> str:
    """Return an option's value as its environment variable has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return ";".join(value) if isinstance(value, tuple | list) else str(value)


def current(*, file: Mapping[str, Any] | None = None) -> ServeOptions:
    """Return the options of this process's service: environment, file, then settings.

    Where Django's settings are not loaded, their module is imported and dropped again.

    Args:
        file: as `resolve`.
    """
    return resolve(file=file, settings=_project()[0])


def identity() -> str:
    """Return what tells this project's service from others: settings file and root URLconf.

    Empty where there are no settings.
    """
    return _project()[1]


def _project() -> tuple[Mapping[str, Any], str]:
    """Return the setting `CONCURRENCY` and the identity."""
    loaded = sys.modules.get("django.conf")
    if loaded is not None and loaded.settings.configured:
        module = sys.modules.get(getattr(loaded.settings, "SETTINGS_MODULE", None) or "")
        return _of(loaded.settings, module)
    name = os.environ.get("DJANGO_SETTINGS_MODULE")
    if not name:
        return {}, ""
    before = set(sys.modules)
    try:
        module = importlib.import_module(name)
        return _of(module, module)
    finally:
        # A worker that is forked later imports it as it is then.
        for new in set(sys.modules) - before:
            if _is_of_project(getattr(sys.modules[new], "__file__", None)):
                del sys.modules[new]


def _is_of_project(file: str | None) -> bool:
    """Whether a module's file is below the current folder, and not installed there."""
    folder = os.getcwd() + os.sep  # noqa: PTH109 - a string is compared with a string
    return file is not None and file.startswith(folder) and "site-packages" not in file


def _of(settings: Any, module: Any) -> tuple[Mapping[str, Any], str]:
    value = getattr(settings, "CONCURRENCY", None)
    file = getattr(module, "__file__", None)
    name = f"{os.path.realpath(file)} {getattr(settings, 'ROOT_URLCONF', '')}" if file else ""
    return (value if isinstance(value, dict) else {}), name
