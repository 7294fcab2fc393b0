"""The services of the example as processes of their own, which find each other."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from types import TracebackType

from bench.server import ROOT, ServerError, WebServer

__all__ = ["Fleet", "migrate"]


def migrate(url: str) -> None:
    """Make the tables of all services in one database, with what they begin with.

    Args:
        url: the address of the database.

    Raises:
        ServerError: it did not work; the text says why.
    """
    done = subprocess.run(  # noqa: S603 - fixed arguments, no shell
        [sys.executable, ROOT / "manage.py", "migrate", "--verbosity=0"],
        cwd=ROOT,
        env={
            **os.environ,
            "ENVIRONMENT": "settings.development",
            "SECRET_KEY": "only to make the tables",
            "DATABASE_URL": url,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ServerError(f"the tables could not be made: {done.stderr}")


class Fleet:
    """Services under gunicorn, each with one worker, stopped together at the end.

    Args:
        environment: what all have in common, DATABASE_URL among it.
        arguments: more arguments for gunicorn.
    """

    def __init__(self, environment: Mapping[str, str], *, arguments: Sequence[str] = ()) -> None:
        self._environment = dict(environment)
        self._arguments = list(arguments)
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
            own = {**known, "SERVICE": name}
            server = self._servers[name] = WebServer(own, arguments=self._arguments)
            server.start()
            self._stack.callback(server.stop)
            started.append(server)
        for server in started:
            server.wait_until_it_answers()
