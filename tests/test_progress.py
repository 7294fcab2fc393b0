"""The bar of `make test`."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.progress import Bar, Notes


def test_processes_that_share_a_suite_have_one_bar(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It counts what all of them have done, names each failure once, and the slowest files last."""
    bar = Bar(tmp_path)
    bar.update()
    session: Any = SimpleNamespace(items=["one"] * 4)
    first, second = Notes(tmp_path), Notes(tmp_path)
    for notes in (first, second):
        notes.pytest_collection_finish(session)
        notes.pytest_runtest_logfinish()
    bar.update()
    nodeid = "tests/test_a.py::test_b"
    failure: Any = SimpleNamespace(failed=True, duration=2.0, nodeid=nodeid)
    other: Any = SimpleNamespace(failed=False, duration=9.0, nodeid="tests/test_c.py::test_d")
    second.pytest_runtest_logreport(failure)
    first.pytest_runtest_logreport(other)
    passed: Any = SimpleNamespace(**{**vars(failure), "failed": False})
    second.pytest_runtest_logreport(passed)
    second.pytest_runtest_logfinish()
    bar.update()
    bar.end()
    lines = [line.rpartition(",")[0] or line for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "  0%  collecting tests",
        " 50%  2 of 4 tests, 0 failed",
        "FAILED tests/test_a.py::test_b",
        " 75%  3 of 4 tests, 1 failed",
        "     9 s  tests/test_c.py",
        "     4 s  tests/test_a.py",
    ]


def test_a_bar_is_never_silent_for_long(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the output is no terminal, there is a line every ten seconds, also without progress."""
    now = 0.0
    bar = Bar(tmp_path, clock=lambda: now)
    for second in range(25):
        now = second
        bar.update()
    assert capsys.readouterr().out.splitlines() == [
        "  0%  collecting tests, 0 s",
        "  0%  collecting tests, 10 s",
        "  0%  collecting tests, 20 s",
    ]
