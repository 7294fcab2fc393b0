"""How every command of this folder begins and ends: `command.run(main, ...)`.

What it needs is looked for before anything is started, and what it has started goes with it,
whichever way it ends.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from importlib.util import find_spec
from shutil import which
from types import FrameType

from deploy import guard
from deploy.binaries import LocalDatabaseError

__all__ = ["CHROMIUM", "LOCUST", "MARIADB", "RIVALS", "UVICORN", "Need", "missing", "run"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Need:
    """Something that a command cannot do without.

    Args:
        name: what it is called.
        remedy: how it is installed.
        programs: of which one has to be in the path.
        modules: which all have to be there to be imported.
    """

    def __init__(
        self,
        name: str,
        remedy: str,
        *,
        programs: tuple[str, ...] = (),
        modules: tuple[str, ...] = (),
    ) -> None:
        self.name, self.remedy = name, remedy
        self._programs, self._modules = programs, modules

    @property
    def program(self) -> str | None:
        """The program of it that is installed, if any."""
        return next((found for name in self._programs if (found := which(name))), None)

    @property
    def is_there(self) -> bool:
        """Whether it is installed."""
        modules = all(find_spec(name) is not None for name in self._modules)
        return modules and (not self._programs or self.program is not None)


_PIP = "make install, or: pip install -r requirements-bench.txt"
CHROMIUM = Need(
    "Chromium",
    "apt-get install chromium",
    programs=("chromium", "chromium-browser", "google-chrome"),
)
LOCUST = Need("Locust", _PIP, modules=("locust",))
MARIADB = Need("MariaDB", "apt-get install mariadb-server", programs=("mariadbd",))
RIVALS = Need("rivals to compare with", _PIP, modules=("django_db_geventpool", "psycopg_pool"))
UVICORN = Need("uvicorn[standard]", _PIP, modules=("uvicorn", "uvloop", "httptools"))


def missing(*needs: Need) -> str | None:
    """Return a sentence about the first that is missing, if one is."""
    for need in needs:
        if not need.is_there:
            return f"{need.name} is missing. Install it: {need.remedy}"
    return None


def run(main: Callable[[], int], *needs: Need) -> None:
    """Run a command and end this process with its exit code.

    A signal ends it as well, without a traceback: 128 and the signal's number, as in a shell.

    Args:
        main: the command.
        needs: what it cannot do without; the process ends with 2 and one line where it is missing.
    """
    spec = sys.modules["__main__"].__spec__
    name = f"python -m {spec.name.removesuffix('.__main__')}" if spec else sys.argv[0]
    asks_for_help = not {"-h", "--help"}.isdisjoint(sys.argv)
    if not asks_for_help and (complaint := missing(*needs)):
        sys.stderr.write(f"{name}: {complaint}\n")
        sys.exit(2)
    for number in _SIGNALS:
        signal.signal(number, _leave)
    guard.start("bench-")
    try:
        code = main()
    except LocalDatabaseError as error:
        sys.stderr.write(f"{name}: {error}\n")
        code = 1
    sys.exit(code)


def _leave(number: int, frame: FrameType | None) -> None:
    """End this process through its `finally` blocks; once, so that they are not broken off."""
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    sys.exit(128 + number)
