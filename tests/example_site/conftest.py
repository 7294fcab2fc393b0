"""The example under real gunicorns with one worker each, on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fleet import Fleet, manage, new_database
from tests.servers import WebServer, named, serve

NAME = "example"


@pytest.fixture(scope="session")
def site(postgres_url: str) -> Iterator[WebServer]:
    """Give the running example; its database sessions are named ``example``."""
    with serve({"DATABASE_URL": named(postgres_url, NAME)}) as server:
        yield server


@pytest.fixture(scope="session")
def services_url(postgres_url: str) -> str:
    """URL of a database with the data of all services."""
    url = new_database(postgres_url, "services")
    manage("migrate", "--verbosity=0", environment={"DATABASE_URL": url})
    return url


@pytest.fixture(scope="session")
def fleet(services_url: str) -> Iterator[Fleet]:
    """Give the user and the welcome service, and the frontend that asks them."""
    with Fleet({"DATABASE_URL": services_url}) as fleet:
        fleet.start("user", "welcome")
        fleet.start("frontend")
        yield fleet
