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
        """Begin with modules that ask for much time, so that none is left for the end."""
        limits: dict[str, float] = {}
        for item in items:
            limits[_module(item)] = max(limits.get(_module(item), 0.0), _limit(item))
        items.sort(key=lambda item: -limits[_module(item)])

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
        for module, members in itertools.groupby(items, _module):
            if self.claim(module):
                yield from members


def _module(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0]


def _limit(item: pytest.Item) -> float:
    """Return the limit in seconds that a test asks for, 0 when it is content with the usual."""
    mark = item.get_closest_marker("timeout")
    return float(mark.args[0]) if mark is not None and mark.args else 0.0
