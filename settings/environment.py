"""The environment: the file `.env` beside `manage.py`, and the variables that win over it.

Owns how a key is read, cast and complained about, and which settings module is used. Must not know
what the keys are for: that is the settings modules' own.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from django.core.exceptions import ImproperlyConfigured
from environ import Env

__all__ = [
    "ROOT",
    "SettingsError",
    "flag",
    "integer",
    "names",
    "number",
    "require",
    "select",
    "text",
]

ROOT: Final = Path(__file__).resolve().parent.parent
ENV_FILE: Final = ROOT / ".env"

_Value = TypeVar("_Value")
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
_came_from_file: dict[str, str] = {}
_loaded = False


class SettingsError(ImproperlyConfigured):
    """A key is missing or wrong; the message is one line that names the key and the file."""

    def __init__(self, key: str, complaint: str) -> None:
        self.key = key
        file = ENV_FILE if ENV_FILE.is_file() else f"{ENV_FILE} (make it from .env.template)"
        super().__init__(f"{key} {complaint}. Set it in {file} or in the environment.")


def select() -> str:
    """Make the module that ENVIRONMENT names Django's settings, and import it to check it.

    Called again, as gunicorn does when it reloads its configuration, it reads the file anew.

    Returns:
        The module's dotted name, for example `settings.production`.

    Raises:
        SettingsError: A key is missing or wrong, or there is no such module.
    """
    load(again=True)
    module = text("ENVIRONMENT")
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name):
            raise
        raise SettingsError(
            "ENVIRONMENT", f"names a module {module!r}, which is not there"
        ) from error
    if not getattr(found, "SECRET_KEY", ""):
        raise SettingsError("SECRET_KEY", "is missing")
    if not all(found.DATABASES.get(name) for name in found.LOGICAL_DATABASES):
        raise SettingsError("DATABASE_URL", "is missing")
    os.environ["DJANGO_SETTINGS_MODULE"] = module
    return module


def forget() -> None:
    """Drop the settings modules, so that who is forked from here imports them as they are then."""
    for name in [*sys.modules]:
        if name.startswith(("settings.", "example_site.services.")) and name != __name__:
            del sys.modules[name]


def load(*, again: bool = False) -> None:
    """Read `.env` into the environment, once; variables that are set there already win."""
    global _loaded
    if _loaded and not again:
        return
    for key, value in _came_from_file.items():
        if os.environ.get(key) == value:
            del os.environ[key]
    before = dict(os.environ)
    if ENV_FILE.is_file():
        Env.read_env(ENV_FILE)
    _came_from_file.clear()
    for key, value in os.environ.items() - before.items():
        if value:
            _came_from_file[key] = value
        else:
            # Empty means the default, also to programs that read the variable themselves.
            del os.environ[key]
    _loaded = True


def text(key: str, default: str | None = None) -> str:
    """Return a key's value; one that is empty counts as missing.

    Raises:
        SettingsError: It is missing and there is no default.
    """
    load()
    value = os.environ.get(key, "").strip()
    if value:
        return value
    if default is None:
        raise SettingsError(key, "is missing")
    return default


def require(*keys: str) -> None:
    """Raise SettingsError for the first of these keys that is missing."""
    for key in keys:
        text(key)


def flag(key: str, default: bool) -> bool:
    """Return a key's value as a truth value: true or false, yes or no, on or off, 1 or 0."""
    value = text(key, "").lower()
    if value and value not in _TRUE | _FALSE:
        raise SettingsError(key, f"is {value!r}, neither true nor false")
    return value in _TRUE if value else default


def integer(key: str, default: int, *, least: int = 0) -> int:
    """Return a key's value as a whole number that is not below `least`."""
    return _cast(key, default, int, least, "whole number")


def number(key: str, default: float, *, least: float = 0.0) -> float:
    """Return a key's value as a number that is not below `least`."""
    return _cast(key, default, float, least, "number")


def names(key: str, default: tuple[str, ...] = ()) -> list[str]:
    """Return a key's value as a list; the entries are separated by commas."""
    found = [name.strip() for name in text(key, "").split(",") if name.strip()]
    return found or list(default)


def _cast(
    key: str, default: _Value, kind: Callable[[str], _Value], least: _Value, noun: str
) -> _Value:
    value = text(key, "")
    if not value:
        return default
    try:
        result = kind(value)
    except ValueError:
        raise SettingsError(key, f"is {value!r}, not a {noun}") from None
    if not result >= least:  # type: ignore[operator] # int and float alone come here
        raise SettingsError(key, f"is {value}, but has to be at least {least}")
    return result
