"""The processes that share the suite: every module is run, and by one of them."""

from __future__ import annotations

from pathlib import Path

from tests.claims import Claims


def test_a_module_belongs_to_who_came_first(tmp_path: Path) -> None:
    """And stays with it, however often it comes by."""
    first, second = Claims(tmp_path), Claims(tmp_path)
    assert [first.claim("tests/a/test_x.py"), first.claim("tests/a/test_x.py")] == [True, True]
    assert [second.claim("tests/a/test_x.py"), second.claim("tests/b/test_x.py")] == [False, True]
    assert not first.claim("tests/b/test_x.py")
