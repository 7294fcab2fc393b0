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
    """It counts what all of them have done, and names a failure once, as soon as there is one."""
    bar = Bar(tmp_path)
    bar.update()
    session: Any = SimpleNamespace(items=["one"] * 4)
    first, second = Notes(tmp_path), Notes(tmp_path)
    for notes in (first, second):
        notes.pytest_collection_finish(session)
        notes.pytest_runtest_logfinish()
    bar.update()
    failure: Any = SimpleNamespace(failed=True, nodeid="tests/test_a.py::test_b")
    second.pytest_runtest_logreport(failure)
    second.pytest_runtest_logfinish()
    bar.update()
    bar.end()
    lines = [line.rpartition(",")[0] or line for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "  0%  0 of 0 tests, 0 failed",
        " 50%  2 of 4 tests, 0 failed",
        "FAILED tests/test_a.py::test_b",
        " 75%  3 of 4 tests, 1 failed",
    ]
