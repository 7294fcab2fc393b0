"""Which driver speaks to PostgreSQL: psycopg 3, or psycopg2 that psycogreen makes cooperative.

Owns the choice between the two. Django itself has none: it takes psycopg 3 wherever that can be
imported.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import Final

from settings import environment

KEY: Final = "DATABASE_DRIVER"
PSYCOPG: Final = "psycopg"
PSYCOPG2: Final = "psycopg2"
# Without the second, psycopg2 would block all greenlets while it waits.
NEEDED: Final = {PSYCOPG: ("psycopg",), PSYCOPG2: ("psycopg2", "psycogreen")}
DECIDED: Final = "django.db.backends.postgresql.psycopg_any"

# Whether psycopg cannot be imported because of us. `environment.forget` keeps this module.
_is_hidden = False


def choose(name: str) -> None:
    """Let Django take a driver for all PostgreSQL databases of this process.

    Args:
        name: psycopg or psycopg2; empty leaves it to Django, and to what is installed.

    Raises:
        SettingsError: There is no such driver, it is not installed, or Django has taken the other.
    """
    if name and name not in NEEDED:
        raise environment.SettingsError(KEY, f"is {name!r}, neither psycopg nor psycopg2")
    taken = _taken()
    if name and taken and taken != name:
        raise environment.SettingsError(KEY, f"is {name}, but Django has taken {taken} already")
    if not taken:
        _hide(name == PSYCOPG2)
    missing = [package for package in NEEDED.get(name, ()) if find_spec(package) is None]
    if missing and not taken:
        raise environment.SettingsError(KEY, f"is {name}, which needs {' and '.join(missing)}")


def _taken() -> str:
    """Return the driver that Django has taken; empty as long as it has taken none."""
    decided = sys.modules.get(DECIDED)
    if decided is None:
        return ""
    return PSYCOPG if decided.is_psycopg3 else PSYCOPG2


def _hide(wanted: bool) -> None:
    """Make psycopg a module that cannot be imported, or again one that can."""
    global _is_hidden
    if wanted:
        sys.modules["psycopg"] = None  # type: ignore[assignment] # how Python marks one
    elif _is_hidden:
        del sys.modules["psycopg"]
    _is_hidden = wanted
