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


def choose(name: str) -> None:
    """Let Django take a driver for all PostgreSQL databases of this process.

    Raises:
        SettingsError: There is no such driver, it is not installed, or Django has taken the other.
    """
    if name not in NEEDED:
        raise environment.SettingsError(KEY, f"is {name!r}, neither psycopg nor psycopg2")
    decided = sys.modules.get(DECIDED)
    if decided is not None:
        taken = PSYCOPG if decided.is_psycopg3 else PSYCOPG2
        if taken != name:
            raise environment.SettingsError(KEY, f"is {name}, but Django has taken {taken} already")
        return
    if name == PSYCOPG2:
        # What Python calls a module that cannot be imported.
        sys.modules["psycopg"] = None  # type: ignore[assignment]
    elif "psycopg" in sys.modules and sys.modules["psycopg"] is None:
        del sys.modules["psycopg"]
    missing = [package for package in NEEDED[name] if find_spec(package) is None]
    if missing:
        raise environment.SettingsError(KEY, f"is {name}, which needs {' and '.join(missing)}")
