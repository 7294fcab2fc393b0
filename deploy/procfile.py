"""The processes of the Procfile with one coloured log: honcho, as `make run` wants its lines.

Each line has the one time that honcho puts before it, and not that of the program as well. What
the programs write about the requests by which `make run` finds out whether they answer is left
out: those have its mark as their id.
"""

from __future__ import annotations

import os
import re
import sys

from honcho.environ import expand_processes, parse_procfile
from honcho.manager import Manager
from honcho.printer import Message, Printer

from deploy import services

# As logging and gunicorn write it, with seconds or parts of them, and with a zone or none.
_TIME = re.compile(
    r"^\[?\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d+)?(?: ?(?:Z|[+-]\d\d:?\d\d))?\]? ?"
)


class Lines(Printer):
    """Prints a line once, with one time; honcho calls it.

    Args:
        mark: the request id of which nothing is printed.
    """

    def __init__(self, mark: str) -> None:
        super().__init__(sys.stdout)
        self._mark = mark

    def write(self, message: Message) -> None:
        """Print what a process has written."""
        data = message.data
        text = data.decode("utf-8", "replace") if isinstance(data, bytes) else data
        for line in text.splitlines():
            if not self._mark or self._mark not in line:
                super().write(message._replace(data=_TIME.sub("", line, count=1) or " "))


def main() -> int:
    """Run the processes until one ends, then end all."""
    manager = Manager(Lines(os.environ.get(services.MARK, "")))
    text = services.PROCFILE.read_text(encoding="utf-8")
    for process in expand_processes(parse_procfile(text).processes):
        environment = {**os.environ, **process.env}
        manager.add_process(process.name, process.cmd, env=environment)
    manager.loop()
    return int(manager.returncode or 0)


if __name__ == "__main__":
    sys.exit(main())
