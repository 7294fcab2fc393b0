"""The example under a real gunicorn with one worker, on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers import WebServer, named, serve

NAME = "example"


@pytest.fixture(scope="session")
def site(postgres_url: str) -> Iterator[WebServer]:
    """Give the running example; its database sessions are named ``example``."""
    with serve({"DATABASE_URL": named(postgres_url, NAME)}) as server:
        yield server
