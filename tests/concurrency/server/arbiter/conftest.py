"""A service for each test that wants one."""

from __future__ import annotations

import contextlib

import pytest

from tests.concurrency.server.served import Served


@pytest.fixture
def start(tmp_path):
    """Start a service for one test."""
    with contextlib.ExitStack() as stack:
        yield lambda *arguments, **variables: stack.enter_context(
            Served(tmp_path, *arguments, **variables)
        )
