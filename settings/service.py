"""The service that this process is: SERVICE names one of the folders in `example_site/services`.

Owns how a service is chosen and what of its settings file is taken. Must not know any service by
name, but for the two that stand in when none is chosen.
"""

from __future__ import annotations

import importlib
import os
from typing import Any, Final

from settings import environment

FOLDER: Final = environment.ROOT / "example_site" / "services"
DEFAULT: Final = "frontend"
# It has every app, so commands about data are its own when nobody says whose they are.
WITH_ALL_APPS: Final = "admin"
DATA_COMMANDS: Final = frozenset(
    {
        *("changepassword", "createsuperuser", "dumpdata", "flush", "inspectdb", "loaddata"),
        *("makemigrations", "migrate", "optimizemigration", "showmigrations", "sqlmigrate"),
        *("drf_create_token", "seed_account", "seed_people"),
    }
)
OPTION: Final = "--service"


def names() -> list[str]:
    """Return the names of all services: the folders that hold a settings file."""
    return sorted(file.parent.name for file in FOLDER.glob("*/settings.py"))


def chosen() -> str:
    """Return the name of the service that this process is.

    Raises:
        SettingsError: There is no such service.
    """
    name = environment.text("SERVICE", DEFAULT)
    if name not in names():
        raise environment.SettingsError(
            "SERVICE", f"is {name!r}; the services are {', '.join(names())}"
        )
    return name


def load(name: str) -> dict[str, Any]:
    """Return the settings of a service: the names in capitals in its settings file."""
    module = importlib.import_module(f"example_site.services.{name}.settings")
    return {key: value for key, value in vars(module).items() if key.isupper()}


def take_option(arguments: list[str]) -> list[str]:
    """Choose the service that a command line asks for, and return the line without the option.

    Args:
        arguments: As in `sys.argv`: `manage.py --service welcome check`.
    """
    program, rest = arguments[:1], arguments[1:]
    if rest and rest[0].startswith(f"{OPTION}="):
        os.environ["SERVICE"] = rest.pop(0).partition("=")[2]
    elif rest and rest[0] == OPTION:
        if len(rest) < 2:
            raise environment.SettingsError("SERVICE", f"is missing after {OPTION}")
        os.environ["SERVICE"] = rest[1]
        rest = rest[2:]
    elif rest and rest[0] in DATA_COMMANDS and not environment.text("SERVICE", ""):
        os.environ["SERVICE"] = WITH_ALL_APPS
    return program + rest
