"""``python -m tests``: the whole suite in several processes at once, with one progress bar.

Most tests wait for a server or a clock most of their time. Each process has servers
of its own. With arguments it is one plain pytest, which gets them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

from deploy import guard
from tests.claims import CLAIMS
from tests.progress import Bar

PYTEST = [sys.executable, "-m", "coverage", "run", "-m", "pytest"]

#: How many processes, where ``TEST_PROCESSES`` does not say.
PROCESSES = 3

LOOK = 0.2  # seconds


def run(processes: int) -> int:
    """Run the suite; return 0 when all of it passed."""
    with tempfile.TemporaryDirectory(prefix="test-claims-") as name:
        folder = Path(name)
        logs = [folder / f".log-{number}" for number in range(1, processes + 1)]
        runs = [_start(folder, log) for log in logs]
        bar = Bar(folder)
        try:
            while any(process.poll() is None for process in runs):
                bar.update()
                time.sleep(LOOK)
            bar.end()
        finally:
            for process in runs:
                process.terminate()  # nothing, for one that has ended
            codes = [process.wait() for process in runs]
        for log, code in zip(logs, codes, strict=True):
            _show(log.read_text(errors="replace"), whole=code != 0)
    sys.stdout.write(f"exit codes of the processes: {codes}\n")
    return max(codes, key=abs)


def _start(folder: Path, log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(
            PYTEST,
            env={**os.environ, CLAIMS: str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=0,  # Ctrl-C comes to us alone
        )


def _show(text: str, *, whole: bool) -> None:
    """Print what a process has printed: all of it, or the summary with what was skipped."""
    summary = text.find("= short test summary info =")
    start = 0 if whole else text.rfind("\n", 0, summary if summary >= 0 else len(text.rstrip()))
    sys.stdout.write(f"{text[start:].strip()}\n")


def _leave(number: int, frame: FrameType | None) -> None:
    """End through `finally`, once."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    sys.exit(128 + number)


if __name__ == "__main__":
    if sys.argv[1:]:
        os.execv(sys.executable, [*PYTEST, *sys.argv[1:]])  # noqa: S606 - becomes pytest
    for _each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(_each, _leave)
    guard.start("run-")
    sys.exit(run(int(os.environ.get("TEST_PROCESSES") or PROCESSES)))
