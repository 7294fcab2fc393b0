"""A gunicorn for each test that wants one, ended with it."""

from __future__ import annotations

import contextlib

import pytest

from tests.concurrency.server.gunicorns import Gunicorn


@pytest.fixture
def start(tmp_path):
    """Start a gunicorn that answers, see ``Gunicorn`` for the arguments."""
    with contextlib.ExitStack() as stack:

        def begin(*arguments: str, **options) -> Gunicorn:
            server = stack.enter_context(Gunicorn(tmp_path, *arguments, **options))
            server.wait_for("views are imported", options.get("workers", 1))
            return server

        yield begin


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One gunicorn for all tests of a module that leave it as it is."""
    with Gunicorn(tmp_path_factory.mktemp("gunicorn"), "--keep-alive", "30") as server:
        server.wait_for("views are imported")
        yield server
