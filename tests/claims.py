"""Several pytest processes that share one suite: whoever comes to a module first runs it.

Each process collects all of it and claims a module by making a file, so that no
process waits for another while there is work. (pytest-xdist starts threads in its
workers before our plugin could patch.) It knows nothing of what the tests are about.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

# The folder of the claims, the same for all processes of a run.
CLAIMS = "TEST_CLAIMS"


class Claims:
    """The plugin of one process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._own: set[str] = set()

    def claim(self, module: str) -> bool:
        """Return whether a module is this process's to run."""
        if module in self._own:
            return True
        try:
            os.close(os.open(self._folder / module.replace("/", "."), os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return False
        self._own.add(module)
        return True

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Begin with modules that say they take long, so that none is left for the end."""
        items.sort(key=lambda item: item.get_closest_marker("long") is None)

    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Run what this process could claim; as pytest's own loop does in other respects."""
        if session.testsfailed or session.config.option.collectonly:
            return None  # pytest knows what to do
        items = self._claimed(session.items)
        item = next(items, None)
        while item is not None:
            following = next(items, None)  # decides which fixtures live on
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.shouldfail:
                raise session.Failed(session.shouldfail)
            if session.shouldstop:
                raise session.Interrupted(session.shouldstop)
            item = following
        return True

    def _claimed(self, items: list[pytest.Item]) -> Iterator[pytest.Item]:
        for module, members in itertools.groupby(items, lambda item: item.nodeid.split("::")[0]):
            if self.claim(module):
                yield from members
