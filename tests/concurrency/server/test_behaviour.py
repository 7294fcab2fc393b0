"""The page of promises and the tests that keep them."""

from __future__ import annotations

import re

from tests.concurrency.server.gunicorns import ROOT

PAGE = ROOT / "docs" / "server-behaviour.md"


def test_every_test_that_the_page_names_is_there():
    """A promise whose test was renamed or removed is noticed."""
    named = set(re.findall(r"`(test_\w+)`", PAGE.read_text()))
    defined = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)
    }
    assert named
    assert not named - defined


def test_every_promise_names_its_test():
    """A paragraph that begins with a bold name ends with the name of a test."""
    promises = re.findall(r"^\*\*.*?(?=\n\n|\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert promises
    assert [text.splitlines()[0] for text in promises if "`test_" not in text] == []
