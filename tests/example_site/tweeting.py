"""The tweets under gunicorn, with an account, and a service of persons that obeys the test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import requests

from tests.example_site.puppet import Puppet, puppet
from tests.fleet import Fleet, manage, new_database
from tests.servers import WebServer

__all__ = ["Tweeting", "tweeting"]

USER, PASSWORD = "writer", "a password of the tests"


@dataclass(frozen=True, slots=True)
class Tweeting:
    """A running service of tweets.

    Attributes:
        server: the service.
        people: the service of persons that it asks.
        database: the address of its database.
        token: what lets requests write.
    """

    server: WebServer
    people: Puppet
    database: str
    token: str

    @property
    def account(self) -> dict[str, str]:
        """The header that lets a request write."""
        return {"Authorization": f"Token {self.token}"}

    def ask(
        self, method: str, path: str, *, account: bool = True, **options: Any
    ) -> requests.Response:
        """Return the answer to a request, sent by somebody who may write unless told otherwise.

        Args:
            method: the method.
            path: the path with its query, or a whole address.
            account: whether the token is sent.
            options: as `requests.request` takes them.
        """
        url = path if path.startswith("http") else f"{self.server.url}{path}"
        headers = {**(self.account if account else {}), **options.pop("headers", {})}
        return requests.request(
            method, url, headers=headers, timeout=20, allow_redirects=False, **options
        )

    def tidy(self) -> None:
        """Remove all tweets but the two of the beginning."""
        with psycopg.connect(self.database, autocommit=True) as connection:
            connection.execute("DELETE FROM tweets_tweet WHERE id > 2")


@contextmanager
def tweeting(postgres_url: str) -> Iterator[Tweeting]:
    """Run the service, on a database of its own."""
    url = new_database(postgres_url, "tweeting")
    environment = {"DATABASE_URL": url, "DEMO_USER": USER, "DEMO_PASSWORD": PASSWORD}
    manage("migrate", "--verbosity=0", environment=environment)
    manage("seed_account", environment=environment)
    said = manage("drf_create_token", USER, environment=environment).stdout
    token = said.split()[2]
    lenient = {
        "THROTTLE_ANONYMOUS": "0",
        "THROTTLE_ACCOUNT": "0",
        "PAGE_DEADLINE": "20",
        "TRUSTED_PROXIES": "1",  # a test may come from another address
    }
    with puppet() as people, Fleet({**environment, **lenient}) as fleet:
        fleet.start("tweets", SERVICE_URL_USER=people.url)
        yield Tweeting(fleet["tweets"], people, url, token)
