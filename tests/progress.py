"""How far several pytest processes are with one suite: what they note, and one bar of it.

They note it in a folder that they share: a byte for each test that has ended, a line for each
that has failed, and the seconds that each has taken. How tests are shared out is decided elsewhere.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

_TOTAL, _DONE, _FAILED, _SECONDS = ".total", ".done", ".failed", ".seconds"
_SLOWEST = 10  # files to name at the end
_WIDTH = 40
# From line to line, where the output is no terminal: per cent, or seconds if they pass first.
_STEP = 5
_SILENCE = 10


class Notes:
    """The plugin of one process: notes what has ended.

    Args:
        folder: the folder that all processes of a run share.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note how many tests there are, which all processes find."""
        (self._folder / _TOTAL).write_text(str(len(session.items)))

    def pytest_runtest_logfinish(self) -> None:
        """Note that a test has ended."""
        self._add(_DONE, ".")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what took how long, and a failure, of the test itself or of what is around it."""
        self._add(_SECONDS, f"{report.duration:.3f} {report.nodeid.partition('::')[0]}\n")
        if report.failed:
            self._add(_FAILED, f"{report.nodeid}\n")

    def _add(self, name: str, text: str) -> None:
        with (self._folder / name).open("a") as file:  # appended at once, whoever else does
            file.write(text)


class Bar:
    """One line on a terminal that moves on, or a line now and then elsewhere.

    Args:
        folder: the folder of the notes.
        clock: tells the time in seconds.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._clock = clock
        self._begun = clock()
        self._is_terminal = sys.stdout.isatty()
        self._told = -_STEP
        self._said = -_SILENCE
        self._failed = 0

    def update(self) -> None:
        """Show how far it is now, and what has failed since the last time."""
        failed = self._read(_FAILED).splitlines()
        for nodeid in failed[self._failed :]:
            self._clear()
            sys.stdout.write(f"FAILED {nodeid}\n")
        self._failed = len(failed)
        done, total = len(self._read(_DONE)), int(self._read(_TOTAL) or 0)
        share = done / total if total else 0.0
        counted = f"{done} of {total} tests, {len(failed)} failed" if total else "collecting tests"
        seconds = self._seconds()
        text = f"{counted}, {seconds} s"
        if self._is_terminal:
            bar = "#" * int(share * _WIDTH)
            self._clear()
            sys.stdout.write(f"[{bar:{_WIDTH}}] {share:4.0%}  {text}")
        elif share * 100 >= self._told + _STEP or seconds >= self._said + _SILENCE:
            self._told, self._said = int(share * 100) // _STEP * _STEP, seconds
            sys.stdout.write(f"{share:4.0%}  {text}\n")
        sys.stdout.flush()

    def end(self) -> None:
        """Show the last state, leave its line, and name the files that took longest."""
        self.update()
        if self._is_terminal:
            sys.stdout.write("\n")
        took: defaultdict[str, float] = defaultdict(float)
        for line in self._read(_SECONDS).splitlines():
            seconds, _, file = line.partition(" ")
            took[file] += float(seconds)
        for file, taken in sorted(took.items(), key=lambda each: -each[1])[:_SLOWEST]:
            sys.stdout.write(f"{taken:6.0f} s  {file}\n")

    def _clear(self) -> None:
        if self._is_terminal:
            sys.stdout.write("\r\x1b[K")

    def _seconds(self) -> int:
        return int(self._clock() - self._begun)

    def _read(self, name: str) -> str:
        try:
            return (self._folder / name).read_text()
        except FileNotFoundError:
            return ""
