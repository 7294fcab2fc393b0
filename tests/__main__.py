"""``python -m tests``: the whole suite in several processes at once.

Most tests wait for a server or a clock most of their time. Each process has servers
of its own. With arguments it is one plain pytest, which gets them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from typing import IO

from tests.claims import CLAIMS

PYTEST = [sys.executable, "-m", "coverage", "run", "-m", "pytest"]

# Each has a part of the machine only, so each test may take longer than when it is alone.
LIMIT = ["--timeout", "60"]

#: How many processes, where ``TEST_PROCESSES`` does not say.
PROCESSES = 3


def _copy(lines: IO[str], name: str) -> None:
    for line in lines:
        sys.stdout.write(f"[{name}] {line}")
        sys.stdout.flush()


def run(processes: int) -> int:
    """Run the suite; return 0 when all of it passed."""
    with tempfile.TemporaryDirectory(prefix="test-claims-") as folder:
        runs = [
            subprocess.Popen(
                [*PYTEST, *LIMIT],
                env={**os.environ, CLAIMS: folder},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for _ in range(processes)
        ]
        readers = [
            threading.Thread(target=_copy, args=(process.stdout, str(number)))
            for number, process in enumerate(runs, 1)
        ]
        try:
            for reader in readers:
                reader.start()
            for reader in readers:
                reader.join()
        finally:
            for process in runs:
                process.terminate()  # nothing, for one that has ended
        codes = [process.wait() for process in runs]
    sys.stdout.write(f"exit codes of the processes: {codes}\n")
    return max(codes, key=abs)


if __name__ == "__main__":
    if sys.argv[1:]:
        sys.exit(subprocess.call([*PYTEST, *sys.argv[1:]]))
    sys.exit(run(int(os.environ.get("TEST_PROCESSES") or PROCESSES)))
