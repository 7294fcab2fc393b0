"""The pytest plugin: ``pytest -p concurrency.testing.plugin`` patches before collection.

While it is loaded, greenlets share the connection of a test that runs in a
transaction: in a ``TestCase``, and with pytest-django's ``db``. It offers fixtures.
Nothing of Django is imported before a test needs it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

import concurrency.patch  # noqa: F401 - first, before anything opens a socket

if TYPE_CHECKING:
    from concurrency.testing.proxy import TCPProxy

_OPTION = "concurrency_share_connections"

_sharing = pytest.StashKey[ExitStack]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the plugin's setting."""
    parser.addini(
        _OPTION,
        "greenlets share the connection of a test that runs in a transaction",
        type="bool",
        default=True,
    )


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Share connections, and count queries of children, from the first test that could use it."""
    if "django.db" not in sys.modules:
        return
    from concurrency.db.wrapper import observers

    observers.runs_tests = True
    config = item.config
    if config.getini(_OPTION) and _sharing not in config.stash:
        from concurrency.testing.sharing import shared_connections

        config.stash[_sharing] = ExitStack()
        config.stash[_sharing].enter_context(shared_connections())


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop sharing."""
    if _sharing in config.stash:
        config.stash[_sharing].close()
        del config.stash[_sharing]


@pytest.fixture
def no_leaks() -> Iterator[None]:
    """Fail a test that leaves a greenlet or a lease behind, or changes the context."""
    from concurrency.testing.leaks import assert_nothing_left

    with assert_nothing_left():
        yield


@pytest.fixture
def tcp_proxy() -> Iterator[Callable[[str, int], TCPProxy]]:
    """Put a proxy before a server: ``tcp_proxy(host, port)`` returns one that listens."""
    from concurrency.testing.proxy import TCPProxy

    with ExitStack() as stack:
        yield lambda host, port: stack.enter_context(TCPProxy(host, port))
