"""The example under real gunicorns with one worker each, on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.example_site.browsing import chromium
from tests.example_site.tweeting import Tweeting, tweeting
from tests.fleet import Fleet, manage, new_database
from tests.servers import WebServer, named, serve

NAME = "example"
USERS_POOL, GREETINGS_POOL = "fleet-users", "fleet-greetings"
POOL_SIZE = 5
# Others may use the machine while a test makes a crowd.
PATIENT = {"PAGE_DEADLINE": "20", "SHED_AFTER": "0"}


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
    environment = {
        "DATABASE_URL": services_url,
        "DATABASE_URL_USERS": named(services_url, USERS_POOL),
        "DATABASE_URL_GREETINGS": named(services_url, GREETINGS_POOL),
        "DATABASE_POOL_MAX_SIZE": str(POOL_SIZE),
        **PATIENT,
    }
    with Fleet(environment) as fleet:
        fleet.start("user", "welcome")
        fleet.start("frontend")
        yield fleet


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Give a headless Chromium that keeps its console."""
    with chromium() as driver:
        yield driver


@pytest.fixture(scope="session")
def tweets(postgres_url: str) -> Iterator[Tweeting]:
    """Give the running tweets, which ask a service of persons that the test moves."""
    with tweeting(postgres_url) as running:
        yield running
