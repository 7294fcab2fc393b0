"""The services of the example as processes of their own, which find each other."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping
from types import TracebackType

import psycopg

from bench.server import ROOT
from tests.servers import WebServer, serve

__all__ = ["Fleet", "manage", "new_database"]


def new_database(postgres_url: str, name: str) -> str:
    """Make an empty database in the PostgreSQL of the session, and return its URL."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        connection.execute(f'CREATE DATABASE "{name}"')
    return f"{postgres_url.rpartition('/')[0]}/{name}"


def manage(
    *arguments: str, environment: Mapping[str, str], code: int = 0
) -> subprocess.CompletedProcess[str]:
    """Run `manage.py` with warnings as errors, and check the code that it ends with."""
    answer = subprocess.run(
        [sys.executable, "-W", "error", ROOT / "manage.py", *arguments],
        cwd=ROOT,
        env={
            **os.environ,
            "ENVIRONMENT": "settings.development",
            "SECRET_KEY": "only for this test, and long enough for Django",
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == code, answer.stdout + answer.stderr
    return answer


class Fleet:
    """Services under gunicorn, each with one worker, stopped together at the end.

    Args:
        environment: what all have in common, DATABASE_URL among it.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        self._servers: dict[str, WebServer] = {}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Fleet:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for server in self._servers.values():
            server.process.terminate()  # all at once; they are waited for one by one
        self._stack.close()

    def __getitem__(self, name: str) -> WebServer:
        return self._servers[name]

    @property
    def addresses(self) -> dict[str, str]:
        """The variables that tell others where these services are."""
        return {f"SERVICE_URL_{name.upper()}": one.url for name, one in self._servers.items()}

    def start(self, *names: str, **environment: str) -> None:
        """Start services, which know those that were started before."""
        known = {**self._environment, **self.addresses, **environment}
        started = []
        for name in names:
            server = self._servers[name] = serve({**known, "SERVICE": name})
            server.start()
            self._stack.callback(server.stop)
            started.append(server)
        for server in started:
            server.wait_until_it_answers()
