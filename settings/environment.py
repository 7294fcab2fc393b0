"""The environment: the file `.env` beside `manage.py`, and the variables that win over it.

Owns how a key is read, cast and complained about, and which settings module is used. Must not know
what the keys are for: that is the settings modules' own.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from django.core.exceptions import ImproperlyConfigured
from environ import Env

__all__ = [
    "ROOT",
    "Complaints",
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

_FALSE: Final = frozenset({"0", "false", "no", "n", "off"})
_came_from_file: dict[str, str] = {}
_loaded = False


class SettingsError(ImproperlyConfigured):
    """A key is missing or wrong; the message is one line that names the key and the file.

    Attributes:
        complaints: what is wrong with each key, in the order in which it was found.
    """

    def __init__(self, key: str, complaint: str, **others: str) -> None:
        self.complaints = {key: complaint, **others}
        file = ENV_FILE if ENV_FILE.is_file() else f"{ENV_FILE} (make it from .env.template)"
        them = "it" if len(self.complaints) == 1 else "them"
        text = "; ".join(f"{key} {complaint}" for key, complaint in self.complaints.items())
        super().__init__(f"{text}. Set {them} in {file} or in the environment.")


class Complaints:
    """Collects what is wrong, so that one message names all of it."""

    def __init__(self) -> None:
        self._found: dict[str, str] = {}

    def require(self, *keys: str) -> None:
        """Complain about those of these keys that are missing."""
        for key in keys:
            self.refuse(not text(key, ""), key, "is missing")

    def refuse(self, is_wrong: bool, key: str, complaint: str) -> None:
        """Complain about a key if it is wrong; its first complaint counts."""
        if is_wrong:
            self._found.setdefault(key, complaint)

    def check(self) -> None:
        """Raise SettingsError if there was any complaint."""
        if self._found:
            raise SettingsError(*next(iter(self._found.items())), **self._found)


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
    found = _settings(module)
    complaints = Complaints()
    complaints.refuse(not getattr(found, "SECRET_KEY", ""), "SECRET_KEY", "is missing")
    databases = [found.DATABASES.get(name) for name in found.LOGICAL_DATABASES]
    complaints.refuse(not all(databases), "DATABASE_URL", "is missing")
    complaints.refuse(
        found.SERVICE_TOKENS_REQUIRED and not found.SERVICE_TOKEN_KEYS,
        "SERVICE_TOKEN_KEYS",
        "is missing",
    )
    complaints.check()
    os.environ["DJANGO_SETTINGS_MODULE"] = module
    return module


def _settings(module: str) -> Any:
    """Import a settings module by its dotted name; raise SettingsError if it is none."""
    if not all(part.isidentifier() for part in module.split(".")):
        raise _unknown(module)
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # a module that the settings import
        raise _unknown(module) from error
    if not hasattr(found, "LOGICAL_DATABASES"):
        raise _unknown(module)
    return found


def _unknown(module: str) -> SettingsError:
    """Return the error about a name that is none of a settings module; it says which are."""
    # The other files of the folder are no settings, they help to make them.
    begins = re.compile(r"^from settings\.\w+ import \*", re.MULTILINE)
    files = (ROOT / "settings").glob("*.py")
    known = sorted(file.stem for file in files if begins.search(file.read_text("utf-8")))
    name = module.rpartition(".")[2]
    meant = [stem for stem in known if stem.startswith(name)] or get_close_matches(name, known, 1)
    use = " or ".join(f"settings.{stem}" for stem in meant or known)
    return SettingsError("ENVIRONMENT", f"is {module!r}, which is no settings module: use {use}")


def forget() -> None:
    """Drop the settings modules, so that who is forked from here imports them as they are then."""
    # What is known of the process stays: what came from the file, and which driver is hidden.
    kept = {__name__, "settings.drivers"}
    for name in [*sys.modules]:
        if name.startswith(("settings.", "example_site.services.")) and name not in kept:
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
    value = text(key, str(default)).lower()
    if value not in {*Env.BOOLEAN_TRUE_STRINGS, *_FALSE}:
        # django-environ takes any other word as false.
        raise SettingsError(key, f"is {value!r}, neither true nor false")
    return bool(Env.parse_value(value, bool))


def integer(key: str, default: int, *, least: int = 0) -> int:
    """Return a key's value as a whole number that is not below `least`."""
    return int(_at_least(least, key, default, int, "whole number"))


def number(key: str, default: float, *, least: float = 0.0) -> float:
    """Return a key's value as a number that is not below `least`."""
    # Not `float` itself: django-environ would take 1,000 as 1.0, and 5m as 5.0.
    return float(_at_least(least, key, default, lambda value: float(value), "number"))


def names(key: str, default: tuple[str, ...] = ()) -> list[str]:
    """Return a key's value as a list; the entries are separated by commas."""
    found = Env.parse_value(text(key, ""), [str.strip])
    return [name for name in found if name] or list(default)


def _at_least(least: float, key: str, default: float, cast: Any, noun: str) -> float:
    value = text(key, str(default))
    try:
        result: float = Env.parse_value(value, cast)
    except ValueError:
        raise SettingsError(key, f"is {value!r}, not a {noun}") from None
    if not result >= least:  # so that NaN is refused as well
        raise SettingsError(key, f"is {value}, but has to be at least {least}")
    return result
