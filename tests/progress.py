"""How far several pytest processes are with one suite: what they note, and one bar of it.

They note it in a folder that they share: one byte for each test that has ended, one line for
each that has failed. It knows nothing of how tests are shared out.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

_TOTAL, _DONE, _FAILED = ".total", ".done", ".failed"
_WIDTH = 40
_STEP = 5  # per cent from line to line, where the output is no terminal


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
        """Note a failure, of the test itself or of what is around it."""
        if report.failed:
            self._add(_FAILED, f"{report.nodeid}\n")

    def _add(self, name: str, text: str) -> None:
        with (self._folder / name).open("a") as file:  # appended at once, whoever else does
            file.write(text)


class Bar:
    """One line on a terminal that moves on, or a line now and then elsewhere."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._begun = time.monotonic()
        self._is_terminal = sys.stdout.isatty()
        self._told = -_STEP
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
        text = f"{done} of {total} tests, {len(failed)} failed, {self._seconds()} s"
        if self._is_terminal:
            bar = "#" * int(share * _WIDTH)
            self._clear()
            sys.stdout.write(f"[{bar:{_WIDTH}}] {share:4.0%}  {text}")
        elif share * 100 >= self._told + _STEP:
            self._told = int(share * 100) // _STEP * _STEP
            sys.stdout.write(f"{share:4.0%}  {text}\n")
        sys.stdout.flush()

    def end(self) -> None:
        """Show the last state, and leave its line."""
        self.update()
        if self._is_terminal:
            sys.stdout.write("\n")

    def _clear(self) -> None:
        if self._is_terminal:
            sys.stdout.write("\r\x1b[K")

    def _seconds(self) -> int:
        return int(time.monotonic() - self._begun)

    def _read(self, name: str) -> str:
        try:
            return (self._folder / name).read_text()
        except FileNotFoundError:
            return ""
