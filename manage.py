#!/usr/bin/env python
"""Django's management commands, in a process that is patched for gevent.

`manage.py --service welcome ...`, or SERVICE in the environment, says which service it is. Without
either it is the frontend, and for commands about data (`migrate` and the like) the admin service,
which has every app.

`CONCURRENCY_PATCH=0` leaves it unpatched, `CONCURRENCY_UNPATCHED_COMMANDS` does so for the commands
that it names.
"""

from __future__ import annotations

import concurrency.patch  # noqa: F401 - importing it is what patches

# isort: split

import os
import sys

from settings import service
from settings.environment import SettingsError, load, select

SWITCHES = ("CONCURRENCY_PATCH", "CONCURRENCY_UNPATCHED_COMMANDS")


def main() -> int:
    """Run the command; complain in one line when the settings are incomplete."""
    before = [os.environ.get(name) or None for name in SWITCHES]
    try:
        load()
        if before != [os.environ.get(name) or None for name in SWITCHES]:
            # The patch came before `.env` could be read. Now that its switches are in the
            # environment, a new start obeys them.
            os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606
        sys.argv = service.take_option(sys.argv)
        select()
    except SettingsError as error:
        sys.stderr.write(f"manage.py: {error}\n")
        return 1
    from django.conf import settings
    from django.core.management import execute_from_command_line
    from django.core.management.commands.runserver import Command

    Command.default_port = str(settings.PORT)
    execute_from_command_line(sys.argv)
    return 0


if __name__ == "__main__":
    sys.exit(main())
